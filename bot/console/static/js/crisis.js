/* The form of a message or of a group's reply is not refreshed, so that nobody's words are lost. Once somebody else's text
   stands above, an untouched form folds itself and takes that text over. */
(() => {
  "use strict";
  const details = document.getElementById("ecrire");
  if (!details) return;
  const field = details.querySelector("textarea");
  document.addEventListener("planton:refreshed", () => {
    if (field.value !== field.defaultValue || details.contains(document.activeElement)) return;
    const text = document.getElementById("texte");
    const prepared = document.querySelector(".crisis-prepared, .crisis-current");
    if (!text && !prepared) return;
    const words = text ? text.textContent : "";
    if (field.defaultValue === words && !details.open) return;
    field.defaultValue = words;
    if (document.body.dataset.page === "crisis-group") details.querySelector("summary").textContent = "Changer la réponse";
    else details.querySelector("summary").textContent = "Préparer un autre message";
    details.open = false;
  });
})();
