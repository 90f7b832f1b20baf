/* The inbox: rows by keyboard, one message after the other without a reload, the search of intents, marks of entities.
   Without this script everything is a plain form. */
(() => {
  "use strict";
  const main = () => document.querySelector("main");
  const byId = (id) => document.getElementById(id);

  // -- the list -----------------------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    const key = event.target.closest("[data-row]");
    if (!key) return;
    const links = [...document.querySelectorAll("[data-testid=inbox-open]")];
    const at = links.indexOf(document.activeElement);
    const step = Number(key.dataset.row);
    const next = links[step === 0 ? Math.max(at, 0) : at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)];
    if (!next) return;
    if (step === 0) next.click();
    else next.focus();
  });

  // -- one message after the other ------------------------------------------------------------------------------------

  let busy = false;

  async function flow(form, button) {
    const fields = new URLSearchParams(new FormData(form, button));
    busy = true;
    main().setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        body: fields,
        headers: { "X-Planton-Flow": "1" },
        signal: AbortSignal.timeout(30000),
      });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("main");
      if (!fresh || !page.querySelector("#message, #boite")) return void location.assign(answer.url); // logged out, or an error page
      main().replaceWith(document.importNode(fresh, true));
      document.title = page.title;
      // A refused form has no address of its own.
      if (answer.redirected) history.pushState(null, "", answer.url);
      window.scrollTo(0, 0);
      ready();
      (byId("alerte") || main()).focus();
      byId("annonce-atelier").textContent = byId("alerte")?.textContent || byId("fait")?.textContent || "";
    } catch {
      window.planton.say("Connexion perdue\u00a0: rien n’a été décidé. Recommencez quand la connexion sera revenue.");
    } finally {
      busy = false;
      main().removeAttribute("aria-busy");
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("[data-flow]")) return;
    event.preventDefault();
    if (!busy) flow(form, event.submitter);
  });
  window.addEventListener("popstate", () => location.reload());

  // -- any intent ------------------------------------------------------------------------------------------------------

  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const shown = () => [...document.querySelectorAll(".intents li:not([hidden]) button")];

  function search() {
    const words = plain(byId("cherche").value).split(/\s+/).filter(Boolean);
    for (const item of document.querySelectorAll(".intents li")) {
      const told = " " + plain(item.dataset.words).replace(/[^\p{L}\p{N}]+/gu, " ");
      item.hidden = !words.every((word) => told.includes(" " + word));
    }
    byId("cherche-rien").hidden = shown().length > 0;
  }

  document.addEventListener("input", (event) => event.target.id === "cherche" && search());
  document.addEventListener("keydown", (event) => {
    const fold = event.target.closest?.("#toutes");
    if (!fold) return;
    const items = shown();
    const at = items.indexOf(document.activeElement);
    const go = (item) => {
      event.preventDefault();
      item?.focus();
    };
    if (event.key === "ArrowDown") go(items[Math.min(at + 1, items.length - 1)]);
    else if (event.key === "ArrowUp") go(at > 0 ? items[at - 1] : byId("cherche"));
    else if (event.key === "Enter" && event.target.id === "cherche") {
      event.preventDefault();
      if (byId("cherche").value && items.length) items[0].click();
    } else if (event.key === "Escape") {
      event.preventDefault();
      fold.open = false;
      fold.querySelector("summary").focus();
    }
  });
  document.addEventListener("toggle", (event) => event.target.id === "toutes" && event.target.open && byId("cherche").focus(), true);

  // -- marks of entities -------------------------------------------------------------------------------------------------

  let chosen = null; // [start, end] in the example, while the entity is chosen

  function selection() {
    const field = byId("exemple");
    let { selectionStart: start, selectionEnd: end, value } = field;
    if (start === end) {
      // The word at hand.
      while (start > 0 && /[\p{L}\p{N}'’-]/u.test(value[start - 1])) start -= 1;
      while (end < value.length && /[\p{L}\p{N}'’-]/u.test(value[end])) end += 1;
    }
    while (start < end && /\s/.test(value[start])) start += 1;
    while (end > start && /\s/.test(value[end - 1])) end -= 1;
    return start < end && !/[[\]]/.test(value.slice(start, end)) ? [start, end] : null;
  }

  function mark() {
    const field = byId("exemple");
    const found = chosen || selection();
    chosen = null;
    if (!found) return window.planton.say("Sélectionnez d’abord les mots à marquer, dans l’exemple.");
    const [start, end] = found;
    const marked = "[" + field.value.slice(start, end) + "](" + byId("entite").value + ")";
    field.setRangeText(marked, start, end, "end");
    field.focus();
    window.planton.say("");
  }

  document.addEventListener("click", (event) => event.target.id === "marquer" && mark());
  document.addEventListener("focusout", (event) => {
    if (event.target.id === "exemple") chosen = selection();
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.id === "exemple") chosen = null;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "F2" && event.target.id === "exemple") {
      event.preventDefault();
      byId("entite").focus();
    } else if (event.key === "Enter" && event.target.id === "entite") {
      event.preventDefault();
      mark();
    }
  });

  function ready() {
    const marking = document.querySelector("[data-marking]");
    if (marking) marking.hidden = false;
  }

  const said = document.createElement("p");
  said.id = "annonce-atelier";
  said.className = "sr";
  said.setAttribute("role", "status");
  document.body.append(said);
  ready();
})();
