/* Examples: a row opens where it stands, words are marked by choosing them, what is wrong is told while one types.
   Without this script the same links and forms work, with a page of their own. */
(() => {
  "use strict";

  // -- a row opens in its place ----------------------------------------------------------------------------------------

  const closed = new Map(); // id of an open row → the row as it was

  async function open(link) {
    const row = link.closest("li");
    const answer = await fetch(link.href, { cache: "no-store", redirect: "manual" }).catch(() => null);
    if (!answer || !answer.ok) return void (location.href = link.href);
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = parsed.getElementById(row.id);
    if (!fresh || !fresh.classList.contains("open")) return void (location.href = link.href);
    for (const other of document.querySelectorAll("li.example.open")) if (closed.has(other.id)) close(other, false);
    closed.set(row.id, row);
    const opened = document.importNode(fresh, true);
    row.replaceWith(opened);
    ready(opened);
    const field = opened.querySelector("textarea") || opened.querySelector("button");
    field.focus();
    if (field.setSelectionRange) field.setSelectionRange(field.value.length, field.value.length);
  }

  function close(row, focus) {
    const was = closed.get(row.id);
    if (!was) return false;
    closed.delete(row.id);
    row.replaceWith(was);
    if (focus) was.querySelector("[data-edit]")?.focus();
    return true;
  }

  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = event.target.closest("a[data-edit]");
    if (link) {
      event.preventDefault();
      return void open(link);
    }
    const cancel = event.target.closest("a[data-cancel]");
    if (cancel && close(cancel.closest("li"), true)) event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    const row = event.key === "Escape" && event.target.closest("li.example.open");
    if (row && close(row, true)) event.preventDefault();
  });

  // -- words are marked ------------------------------------------------------------------------------------------------

  const MARK = /\[([^[\]]{1,500})\](?:\([^()[\]]{1,260}\)|\{[^{}]{1,500}\})/g;

  function mark(field, name) {
    const text = field.value;
    let [start, end] = [field.selectionStart, field.selectionEnd];
    while (start < end && /\s/.test(text[start])) start++;
    while (end > start && /\s/.test(text[end - 1])) end--;
    const words = text.slice(start, end);
    if (!words || /[[\]\n]/.test(words)) {
      return void planton.say(words ? "Choisissez des mots d’un seul message, sans crochets." : "Choisissez d’abord des mots dans le texte.");
    }
    planton.say("");
    field.focus();
    field.setRangeText(`[${words}](${name})`, start, end, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function unmark(field) {
    const [start, end] = [field.selectionStart, field.selectionEnd];
    const all = start === end;
    field.value = field.value.replace(MARK, (found, words, at) => (all || (at < end && at + found.length > start) ? words : found));
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // -- what is wrong is told -------------------------------------------------------------------------------------------

  function watch(form) {
    const field = form.elements.namedItem("texte");
    const target = form.elements.namedItem("vers");
    const told = form.querySelector("[data-findings]");
    let timer = 0;
    let asked = 0;
    async function ask() {
      const mine = ++asked;
      if (!field.value.trim()) return void told.replaceChildren();
      const answer = await planton
        .post("/atelier/exemples/verifier", { texte: field.value, vers: target.value, cle: form.elements.namedItem("cle")?.value || "" })
        .catch(() => null);
      if (mine !== asked || !answer || !answer.ok) return; // a newer one is under way, or the form itself will be told
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine === asked) told.replaceChildren(...parsed.body.children);
    }
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(ask, 350);
    };
    field.addEventListener("input", soon);
    if (target.tagName === "SELECT") target.addEventListener("change", soon);
    if (field.value.trim() && form.closest(".open")) ask();
  }

  function ready(root) {
    for (const bar of root.querySelectorAll("[data-marks]")) {
      const field = bar.closest("form").elements.namedItem("texte");
      bar.hidden = false;
      // The choice in the text would be lost with the focus.
      bar.addEventListener("mousedown", (event) => event.target.closest("button") && event.preventDefault());
      bar.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (!button) return;
        if (button.dataset.mark) mark(field, button.dataset.mark);
        else unmark(field);
      });
    }
    for (const form of root.querySelectorAll("form[data-checks]")) watch(form);
  }

  ready(document);
})();
