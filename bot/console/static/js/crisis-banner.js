/* The banner of the crisis mode, on every page: it comes and goes while the page is open. */
(() => {
  "use strict";
  let first = true; // the page was rendered just now: the stream's first word says nothing new
  document.addEventListener("planton:news", async (event) => {
    const tokens = event.detail.tokens;
    const again = tokens.includes("*") && !first;
    first = first && !tokens.includes("*");
    if (!again && !tokens.includes("crisis")) return;
    try {
      const answer = await fetch("/crise/bandeau", { headers: { "X-Planton-Live": "1" }, cache: "no-store", redirect: "manual" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("bandeau-crise");
      const old = document.getElementById("bandeau-crise");
      if (!fresh || !old || old.innerHTML === fresh.innerHTML) return;
      old.hidden = fresh.hidden; // the element stays, so that a screen reader hears its new words
      old.replaceChildren(...fresh.childNodes);
    } catch {
      /* the stream says when the line is lost */
    }
  });
})();
