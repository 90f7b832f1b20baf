/* Canned replies: « / » and a few letters in the composer open a list (ARIA's combobox pattern); Enter takes one.

   The field is a combobox while the list is open, and a plain field of several lines else. */
(() => {
  "use strict";
  const box = document.querySelector("[data-composer] textarea");
  if (!box) return;
  const { post, put } = window.planton;
  const path = "/conversations/" + document.body.dataset.conversation + "/reponses-types";
  const list = document.getElementById("types");
  const told = document.getElementById("types-dit");
  const opener = document.getElementById("types-ouvrir");
  let options = [];
  let active = -1;
  let from = -1; // where the « / » stands
  let asked = 0;

  // What is typed after a « / » that begins a word, up to the caret.
  function query() {
    const caret = box.selectionStart;
    if (caret !== box.selectionEnd) return null;
    const found = /(?:^|\s)\/([^/\n]{0,40})$/.exec(box.value.slice(0, caret));
    return found ? { text: found[1], from: caret - found[1].length - 1 } : null;
  }

  function close() {
    asked += 1;
    options = [];
    active = -1;
    list.hidden = true;
    list.replaceChildren();
    told.textContent = "";
    for (const name of ["role", "aria-expanded", "aria-controls", "aria-autocomplete", "aria-haspopup", "aria-activedescendant"])
      box.removeAttribute(name);
  }

  async function look() {
    const wanted = query();
    if (!wanted || wanted.from === dismissed) {
      if (!wanted) dismissed = -1;
      return close();
    }
    const turn = ++asked;
    let found;
    try {
      const answer = await fetch(path + "?q=" + encodeURIComponent(wanted.text.trim()), {
        headers: { "X-Planton-Live": "1" },
        cache: "no-store",
      });
      if (!answer.ok) return;
      found = await answer.json();
    } catch {
      return; // the page says that the line is lost
    }
    if (turn !== asked) return;
    if (!found.length) {
      close();
      told.textContent = "Aucune réponse type.";
      return;
    }
    from = wanted.from;
    show(found);
  }

  function show(found) {
    options = found;
    list.replaceChildren(...found.map(option));
    list.hidden = false;
    place();
    box.setAttribute("role", "combobox");
    box.setAttribute("aria-expanded", "true");
    box.setAttribute("aria-controls", list.id);
    box.setAttribute("aria-autocomplete", "list");
    box.setAttribute("aria-haspopup", "listbox");
    told.textContent = found.length === 1 ? "Une réponse type." : found.length + " réponses types.";
    choose(0);
  }

  // Above the field, over the thread: the composer scrolls, and would cut off what stands above it.
  function place() {
    const at = box.getBoundingClientRect();
    list.style.setProperty("--types-left", at.left + "px");
    list.style.setProperty("--types-width", at.width + "px");
    list.style.setProperty("--types-bottom", window.innerHeight - at.top + 6 + "px");
  }
  for (const event of ["resize", "scroll"])
    window.addEventListener(event, () => list.hidden || place(), { capture: event === "scroll", passive: true });

  function option(one, at) {
    const item = document.createElement("li");
    item.id = "type-" + one.id;
    item.setAttribute("role", "option");
    item.dataset.testid = "canned-option";
    for (const [kind, words] of [["code", "/" + one.shortcut], ["heading", one.title], ["start", one.text]]) {
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
    active = (at + options.length) % options.length;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === active)));
    const item = list.children[active];
    box.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  }

  function take(at) {
    const one = options[at];
    const start = from;
    lent = null;
    close();
    put(one.text, start, box.selectionStart);
    if (one.missing.length)
      told.textContent = "À remplir avant l’envoi\u00a0: " + one.missing.join(", ") + ".";
    post(path + "/" + one.id, {}).catch(() => {});
  }

  // What the button wrote to open the list, where it begins: it is not the agent's, and goes when they want none.
  let lent = null;
  function takeBack(end) {
    const { at, words } = lent;
    lent = null;
    if (box.value.startsWith(words, at)) put("", at, Math.max(end, at + words.length));
  }

  let dismissed = -1; // the « / » whose list was closed by Escape: it is a plain « / » from then on
  box.addEventListener("input", look);
  box.addEventListener("click", look);
  box.addEventListener("blur", () => setTimeout(() => {
    if (document.activeElement === box) return;
    close();
    const after = lent ? box.value.charAt(lent.at + lent.words.length) : "";
    if (lent && !after.trim()) {
      const elsewhere = document.activeElement;
      takeBack(0); // nothing was looked for
      elsewhere?.focus();
    }
  }, 100));
  box.addEventListener("keydown", (event) => {
    if (list.hidden || event.isComposing) return;
    const moves = { ArrowDown: active + 1, ArrowUp: active - 1 };
    if (event.key in moves) choose(moves[event.key]);
    else if ((event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.shiftKey) || event.key === "Tab") take(active);
    else if (event.key === "Escape") {
      dismissed = from;
      close();
      if (lent && lent.at + lent.words.length - 1 === from) takeBack(box.selectionStart);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  opener.hidden = false;
  opener.addEventListener("click", () => {
    box.focus();
    if (lent) takeBack(0); // pressed twice
    const caret = box.selectionStart;
    const words = (caret && !/\s$/.test(box.value.slice(0, caret)) ? " " : "") + "/";
    dismissed = -1;
    lent = { at: caret, words };
    put(words);
  });
})();
