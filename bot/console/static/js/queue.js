/* The queue: how many wait, in the title and said aloud. */
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
})();
