/* The form of a message or of a group's reply is not refreshed, so that nobody's words are lost. Once somebody else's text
   stands above, an untouched form folds itself and takes that text over. */
(() => {
  "use strict";
  // A refused form leaves its own address: a reload repeats nothing, and the live parts have a page to be asked at.
  const address = document.body.dataset.address;
  if (address) history.replaceState(null, "", address);
  const details = document.getElementById("ecrire");
  if (!details) return;
  const field = details.querySelector("textarea");
  const key = "planton.brouillon.crise." + location.pathname;
  const above = () => {
    const text = document.querySelector("#texte, .crisis-prepared .crisis-text");
    return text ? text.textContent.trim() : "";
  };
  // What is typed survives a reload and a session that ran out, in this tab; logging out forgets it.
  const kept = planton.stored("getItem", key);
  if (kept && kept.trim() === above()) planton.stored("removeItem", key);
  else if (kept && field.value === field.defaultValue) {
    field.value = kept;
    details.open = true;
  }
  field.addEventListener("input", () => planton.stored("setItem", key, field.value));
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
