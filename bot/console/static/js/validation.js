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
    // The decision at hand asks about this very message already: there is nothing to load again.
    if (decision.querySelector("input[name=lu]")?.value === card.dataset.last) {
      if (document.getElementById("alerte")) document.getElementById("perime")?.remove();
      else document.getElementById("a-relire")?.replaceChildren(", et dites que vous les avez lus avant d’approuver");
    }
    const changed = card.dataset.step !== decision.dataset.step || card.dataset.status !== "waiting";
    document.getElementById("change").hidden = !changed;
    for (const button of decision.querySelectorAll("button")) button.disabled = changed;
  });
})();
