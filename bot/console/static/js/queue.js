/* The queue: how many wait, in the title and said aloud; the keys that walk through it; filters in a short address. */
(() => {
  "use strict";
  const count = () => Number(document.getElementById("queue").dataset.count);
  const title = document.title;
  let before = Infinity;

  function announce() {
    const after = count();
    document.title = after ? "(" + after + ") " + title : title;
    if (after > before)
      document.getElementById("annonce").textContent =
        after === 1 ? "Une demande à prendre." : after + " demandes à prendre.";
    before = after;
  }

  document.addEventListener("planton:refreshed", announce);
  announce();

  // A closing can be taken back for a moment; then its notice only leads to the conversation.
  const notice = document.querySelector("[data-undo-for]");
  if (notice)
    setTimeout(() => {
      const form = notice.querySelector("form");
      if (form?.contains(document.activeElement)) document.getElementById("fait-lien").focus();
      form?.remove();
    }, Number(notice.dataset.undoFor));

  // j, k, o: the line that has the focus is the one at hand.
  const links = () => [...document.querySelectorAll("[data-row-link]")];
  for (const key of document.querySelectorAll("[data-row]"))
    key.addEventListener("click", () => {
      const all = links();
      const move = Number(key.dataset.row);
      const at = all.findIndex((link) => link.closest(".row").contains(document.activeElement));
      if (!move) return void (at >= 0 && all[at].click());
      const next = at < 0 ? all[move > 0 ? 0 : all.length - 1] : all[at + move];
      if (!next) return;
      next.focus();
      next.closest(".row").scrollIntoView({ block: "nearest" });
    });

  // What is not filtered by stays out of the address, so that it can be read and passed on.
  const form = document.querySelector("[data-refine]");
  form.addEventListener("submit", () => {
    for (const select of form.querySelectorAll("select")) select.disabled = !select.value;
    setTimeout(() => form.querySelectorAll("select").forEach((select) => (select.disabled = false)), 0);
  });
})();
