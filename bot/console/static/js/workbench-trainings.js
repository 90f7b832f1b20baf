/* One training: once it has ended, the page is asked for anew, since its result is more than the part that refreshes itself. */
(() => {
  "use strict";
  const state = () => document.getElementById("essai-etat")?.dataset.state;
  const living = (name) => name === "queued" || name === "training" || name === "measuring";
  let before = state();
  document.addEventListener("planton:refreshed", () => {
    const now = state();
    if (living(before) && !living(now)) location.reload();
    before = now;
  });
})();
