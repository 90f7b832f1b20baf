/* The banners of the crisis mode and of the engine's outage, on every page: they come and go while the page is open. */
(() => {
  "use strict";
  const banners = [
    { topic: "crisis", path: "/crise/bandeau", id: "bandeau-crise" },
    { topic: "engine", path: "/assistant/bandeau", id: "bandeau-assistant" },
  ];
  let first = true; // the page was rendered just now: the stream's first word says nothing new
  const renew = async ({ path, id }) => {
    try {
      const answer = await fetch(path, { headers: { "X-Planton-Live": "1" }, cache: "no-store", redirect: "manual" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
      const old = document.getElementById(id);
      if (!fresh || !old || old.innerHTML === fresh.innerHTML) return;
      old.hidden = fresh.hidden; // the element stays, so that a screen reader hears its new words
      old.replaceChildren(...fresh.childNodes);
    } catch {
      /* the stream says when the line is lost */
    }
  };
  document.addEventListener("planton:news", (event) => {
    const tokens = event.detail.tokens;
    const again = tokens.includes("*") && !first;
    first = first && !tokens.includes("*");
    for (const banner of banners) if (again || tokens.includes(banner.topic)) renew(banner);
  });
})();
