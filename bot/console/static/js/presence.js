/* Signs of life of a conversation's page: the others see who is there and who writes. */
(() => {
  "use strict";
  const { post } = window.planton;
  const number = document.body.dataset.conversation;
  if (!document.querySelector("#note-privee")) return; // one who may only read leaves no trace here
  const path = "/conversations/" + number + "/presence";
  const box = document.querySelector("[data-composer] textarea");
  const EVERY = 10000;
  const IDLE = 4000; // after the last key, one does not write any more
  let writes = false;
  let stops = 0;
  let last = 0;

  async function beat() {
    last = Date.now();
    const answer = await post(path, { ecrit: writes ? "1" : "0" }, true);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("presence");
    const old = document.getElementById("presence");
    if (fresh && old && old.outerHTML !== fresh.outerHTML) {
      old.className = fresh.className;
      old.hidden = fresh.hidden;
      old.replaceChildren(...fresh.childNodes);
    }
  }
  const sign = () => beat().catch(() => {});

  if (box)
    box.addEventListener("input", () => {
      clearTimeout(stops);
      stops = setTimeout(() => {
        writes = false;
        sign();
      }, IDLE);
      if (!writes || Date.now() - last > IDLE) {
        writes = true;
        sign();
      }
    });
  document.addEventListener("planton:news", (event) => {
    const { tokens } = event.detail;
    if (tokens.includes("presence:" + number) || tokens.includes("*")) sign();
  });
  setInterval(() => document.hidden || sign(), EVERY);
  document.addEventListener("visibilitychange", () => document.hidden || sign());
  // These lead back here: one does not leave.
  let stays = false;
  document.addEventListener("submit", (event) => {
    stays = /\/(prendre|repondre|soumettre|note|rouvrir|bloquer)$/.test(event.target.action || "");
  });
  addEventListener("pageshow", () => (stays = false));
  addEventListener("pagehide", () => {
    if (stays) return;
    const csrf = document.querySelector("input[name=csrf]");
    const headers = { "X-CSRF-Token": csrf ? csrf.value : "", "X-Planton-Live": "1" };
    fetch(path, { method: "POST", headers, body: new URLSearchParams({ part: "1" }), keepalive: true }).catch(() => {});
  });
  sign();
})();
