/* On every page: how many drafts wait for one's decision or came back to one, and a word when one is about to miss its
   window. */
(() => {
  "use strict";
  // The composer is not refreshed, what is left of the window is.
  document.addEventListener("planton:refreshed", () => {
    const [here, fresh] = [document.getElementById("validation-reste"), document.querySelector("#tete .left")];
    if (!here || !fresh) return;
    here.textContent = fresh.textContent;
    here.className = fresh.className.replace("chip", "");
  });

  const place = document.querySelector("[data-testid=nav-validation]");
  if (!place) return;
  const badge = document.createElement("span");
  badge.className = "count";
  badge.dataset.testid = "validation-count";
  badge.hidden = true;
  place.append(" ", badge);
  const box = document.createElement("p");
  box.className = "lost";
  box.dataset.testid = "validation-news";
  box.setAttribute("role", "status");
  box.hidden = true;
  document.getElementById("lost").after(box);
  let before = null;
  let asked = 0;

  function tell(words, where, pressing) {
    window.planton.alarm?.("Validation", words, pressing);
    if (window.planton.page === "validation") return; // the list says it itself
    const link = document.createElement("a");
    link.href = where;
    link.textContent = "Voir";
    box.replaceChildren(words + " ", link);
    box.hidden = false;
  }

  function show(now) {
    const waiting = now.decide + now.review;
    badge.textContent = waiting;
    badge.hidden = !waiting;
    badge.title = now.decide + " à décider, " + now.review + " à revoir";
    if (before && now.pressing > before.pressing)
      tell("Une réponse à valider va manquer son délai.", "/validation?voir=a-decider", true);
    else if (before && now.review > before.review)
      tell("Une de vos réponses en validation vous attend.", "/validation?voir=ecrites", false);
    else if (!now.pressing && !now.review) box.hidden = true;
    if (before && now.decide > before.decide && now.pressing <= before.pressing)
      window.planton.alarm?.("Validation", "Une réponse attend votre décision.", false);
    before = now;
  }

  async function ask() {
    const mine = ++asked;
    try {
      const answer = await fetch("/validation/alertes", { headers: { "X-Planton-Live": "1" }, redirect: "manual" });
      if (answer.ok && mine === asked) show(await answer.json());
    } catch {
      /* the stream says when the line is lost */
    }
  }

  let soon = 0;
  document.addEventListener("planton:news", (event) => {
    if (soon || !event.detail.tokens.some((token) => token === "*" || token === "validation")) return;
    soon = setTimeout(() => {
      soon = 0;
      ask();
    }, 300);
  });
  ask();
})();
