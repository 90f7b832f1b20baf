/* Stand-ins of personal data: put an original back, give what is selected a stand-in.
   All by delegation: a page may replace its parts. Without this script the text is a plain field, and the server asks again. */
(() => {
  "use strict";
  let last = null; // the text field that was used last

  const field = (id) => document.getElementById(id);

  function said(tool, words) {
    const place = tool?.querySelector("[data-said]");
    if (place) place.textContent = words;
  }

  // Replace and let the field's own undo (Ctrl+Z) take it back; `execCommand` alone writes into that history.
  function put(area, start, end, words) {
    area.focus();
    area.setSelectionRange(start, end);
    if (!document.execCommand("insertText", false, words)) area.setRangeText(words, start, end, "end");
    area.setSelectionRange(start, start + words.length);
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function confirm(form, words) {
    if (!form || [...form.querySelectorAll('input[name="pas_personnel"]')].some((one) => one.value === words && one.type === "hidden")) return;
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name: "pas_personnel", value: words });
    form.append(input);
  }

  function unconfirm(form, words) {
    form?.querySelectorAll('input[type="hidden"][name="pas_personnel"]').forEach((one) => one.value === words && one.remove());
  }

  // Every place where `from` stands as a whole word becomes `to`.
  function swap(area, from, to) {
    let found = 0;
    for (let at = area.value.indexOf(from); at >= 0; at = area.value.indexOf(from, at + to.length)) {
      const before = area.value[at - 1] ?? " ", after = area.value[at + from.length] ?? " ";
      if (/[\p{L}\p{N}]/u.test(before) || /[\p{L}\p{N}]/u.test(after)) continue;
      put(area, at, at + from.length, to);
      found += 1;
      if (found === 200) break;
    }
    return found;
  }

  function putBack(button) {
    const row = button.closest("li");
    const block = row.closest("[data-pseudonyms]");
    const area = field(block.dataset.pseudonyms);
    const tool = document.querySelector(`[data-pseudonyms-tool="${block.dataset.pseudonyms}"]`);
    const { original, standIn } = row.dataset;
    const back = !row.hasAttribute("data-back");
    if (!swap(area, back ? standIn : original, back ? original : standIn)) {
      said(tool, "Ce passage n’est plus dans le texte.");
      window.planton?.say?.("Ce passage n’est plus dans le texte\u202f: il a été changé depuis.");
      return;
    }
    // The same original has the same stand-in everywhere: all its rows turn together.
    for (const one of block.querySelectorAll("li")) {
      if (one.dataset.original !== original) continue;
      one.toggleAttribute("data-back", back);
      one.querySelector("[data-put-back] > span").textContent = back ? "Remplacer de nouveau" : "Garder l’original";
      block.querySelector(`mark[data-piece="${one.dataset.piece}"]`)?.toggleAttribute("data-back", back);
    }
    // The trainer's word that it is no personal data.
    (back ? confirm : unconfirm)(area.form, original);
    said(tool, back ? "L’original est remis dans le texte." : "Le passage est remplacé de nouveau.");
    button.focus();
  }

  async function replace(tool) {
    const area = field(tool.dataset.pseudonymsTool);
    const start = area.selectionStart, end = area.selectionEnd;
    const words = area.value.slice(start, end);
    if (!words.trim()) {
      said(tool, "Sélectionnez d’abord un passage du texte.");
      area.focus();
      return;
    }
    const button = tool.querySelector("[data-replace]");
    button.disabled = true;
    try {
      const answer = await window.planton.post("/atelier/pseudonymes", { extrait: words, nature: tool.querySelector("select").value });
      const told = await answer.json();
      if (!answer.ok) return void said(tool, `${told.what} ${told.remedy}`);
      if (area.value.slice(start, end) !== words) return void said(tool, "Le texte a changé\u202f: sélectionnez de nouveau.");
      put(area, start, end, told.stand_in);
      said(tool, `Remplacé par ${told.stand_in}.`);
    } catch {
      said(tool, "Le serveur n’a pas répondu. Réessayez, ou écrivez vous-même autre chose à la place.");
    } finally {
      button.disabled = false;
    }
  }

  document.addEventListener("focusin", (event) => {
    const tool = event.target.id && document.querySelector(`[data-pseudonyms-tool="${CSS.escape(event.target.id)}"]`);
    if (tool) last = event.target.id;
  });

  document.addEventListener("click", (event) => {
    const back = event.target.closest("[data-put-back]");
    if (back) return putBack(back);
    const button = event.target.closest("[data-pseudonyms-tool] [data-replace]");
    if (button) replace(button.closest("[data-pseudonyms-tool]"));
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.matches?.("[data-pseudonyms-tool] select") && event.key === "Enter") {
      event.preventDefault(); // else the form is sent
      replace(event.target.closest("[data-pseudonyms-tool]"));
    } else if (event.key === "F4" && !event.altKey && !event.ctrlKey && last === event.target.id) {
      event.preventDefault();
      document.querySelector(`[data-pseudonyms-tool="${CSS.escape(last)}"] select`)?.focus();
    }
  });
})();
