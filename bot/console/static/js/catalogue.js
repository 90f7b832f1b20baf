/* The catalogue of questions: a search of its own over the page (ARIA's combobox pattern); Enter or a click puts an answer into the
   composer, Escape closes it. Who types faster than answers come gets what the words say, not what the list still shows. */
(() => {
  "use strict";
  const panel = document.getElementById("catalogue");
  if (!panel || !document.querySelector("[data-composer]")) return;
  const { post, add } = window.planton;
  const path = "/conversations/" + document.body.dataset.conversation + "/catalogue";
  const field = document.getElementById("catalogue-mots");
  const list = document.getElementById("catalogue-liste");
  const told = document.getElementById("catalogue-dit");
  const PAUSE = 120; // ms without a key before it looks
  let found = [];
  let shown = null; // the words that `found` answers
  let active = -1;
  let asked = 0;
  let timer = 0;

  async function look() {
    const turn = ++asked;
    const words = field.value.trim();
    const query = new URLSearchParams({ q: words, sujet: panel.dataset.subject });
    let answer;
    try {
      answer = await fetch("/catalogue?" + query, { headers: { "X-Planton-Live": "1" }, cache: "no-store", redirect: "manual" });
      if (!answer.ok) throw new Error("HTTP " + answer.status);
      answer = await answer.json();
    } catch {
      if (turn === asked) told.textContent = "Le catalogue ne répond pas. Réessayez dans un instant.";
      return;
    }
    if (turn === asked) show(words, answer);
  }

  function show(words, { count, questions }) {
    shown = words;
    found = questions;
    list.replaceChildren(...found.map(option));
    list.scrollTop = 0;
    field.setAttribute("aria-expanded", String(found.length > 0));
    if (!count) told.textContent = "Aucune question ne contient ces mots.";
    else if (count > found.length) told.textContent = "Les " + found.length + " premières sur " + count.toLocaleString("fr-FR") + "\u00a0: précisez pour voir les autres.";
    else told.textContent = count === 1 ? "Une question." : count + " questions.";
    choose(found.length ? 0 : -1);
  }

  function option(one, at) {
    const item = document.createElement("li");
    item.id = "question-" + at;
    item.setAttribute("role", "option");
    item.dataset.testid = "catalogue-option";
    for (const [kind, words] of [["heading", one.question], ["topic", one.topic], ["start", one.text]]) {
      const part = document.createElement("span");
      part.className = kind;
      part.textContent = words;
      item.append(part);
    }
    item.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
    item.addEventListener("click", () => take(at));
    return item;
  }

  function choose(at) {
    active = found.length ? (at + found.length) % found.length : -1;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === active)));
    const item = list.children[active];
    if (!item) return field.removeAttribute("aria-activedescendant");
    field.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  }

  function take(at) {
    const one = found[at];
    if (!one) return;
    panel.hidePopover();
    add(one.text);
    post(path, { question: one.id }).catch(() => {});
  }

  async function takeAsTyped() {
    if (field.value.trim() !== shown) {
      clearTimeout(timer);
      await look();
    }
    if (field.value.trim() === shown) take(active);
  }

  document.getElementById("catalogue-ouvrir").hidden = false;
  panel.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    field.select();
    look();
  });
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: Math.min(active + 5, found.length - 1), PageUp: Math.max(active - 5, 0) };
    if (event.key in moves) choose(moves[event.key]);
    else if (event.key === "Enter") takeAsTyped();
    else if (event.key === "Escape") panel.hidePopover(); // a search field would only be emptied
    else return;
    event.preventDefault();
  });
})();
