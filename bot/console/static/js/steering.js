/* « En ce moment » follows what happens, once in a few seconds at most: in a crisis there is news all the time. */
(() => {
  "use strict";
  const EVERY = 4000;
  let last = 0;
  let waiting = 0;

  function look() {
    waiting = 0;
    last = Date.now();
    window.planton.refresh();
  }

  document.addEventListener("planton:news", (event) => {
    if (event.detail.ours || waiting) return;
    if (!event.detail.tokens.some((token) => /^\d+$/.test(token) || token === "alert" || token === "deadlines")) return;
    waiting = setTimeout(look, Math.max(0, last + EVERY - Date.now()));
  });
})();
