/* One draft that waits for a decision: what is decided is what was read. */
(() => {
  "use strict";
  const decision = document.getElementById("decision");
  const thread = () => document.getElementById("fil");

  // Whatever form led here, a reload repeats nothing, and the live parts have an address to be asked at.
  history.replaceState(null, "", document.body.dataset.address);
  thread().scrollTop = thread().scrollHeight;

  document.addEventListener("planton:refreshed", () => {
    const card = document.getElementById("fiche");
    thread().scrollTop = thread().scrollHeight;
    if (!decision) return;
    const changed = card.dataset.step !== decision.dataset.step || card.dataset.status !== "waiting";
    document.getElementById("change").hidden = !changed;
    for (const button of decision.querySelectorAll("button")) button.disabled = changed;
  });
})();
