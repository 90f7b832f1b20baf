/* The composer: the draft that the server keeps, the count, the suggestion, and a sending that a lost line does not swallow.

   What the server has not confirmed yet lies in the tab's own storage, under a key that logging out forgets. */
(() => {
  "use strict";
  const { stored, post, pressed, say } = window.planton;
  const number = document.body.dataset.conversation;
  const composer = document.querySelector("[data-composer]");
  const key = "planton.brouillon." + number;
  const BEGUN = key + ".debut"; // what the person had said when the text was begun
  const drop = () => [key, BEGUN].forEach((name) => stored("removeItem", name));
  const path = "/conversations/" + number;
  const figures = (n) => n.toLocaleString("fr-FR");

  if (document.body.hasAttribute("data-sent")) drop();
  document.addEventListener("planton:refreshed", mode);

  // A second look is held against what was read before it opened: what arrives meanwhile lies behind it, unread.
  const looks = new Map(); // the dialog's id → what its form said when it opened
  const told = (dialog) => [...dialog.querySelectorAll("input[type=hidden]:not([name=csrf])")];
  const look = (dialog) => looks.set(dialog.id, told(dialog).map((one) => [one.name, one.value]));
  document.querySelectorAll("[data-second-look]:popover-open").forEach(look); // opened before this was read
  document.addEventListener(
    "toggle",
    (event) => {
      if (!event.target.matches("[data-second-look]")) return;
      if (event.newState === "open") look(event.target);
      else looks.delete(event.target.id);
    },
    true,
  );
  document.addEventListener("planton:refreshed", () => {
    for (const [id, then] of looks)
      for (const [name, value] of then) document.getElementById(id)?.querySelector(`[name=${name}]`)?.setAttribute("value", value);
  });
  if (!composer) return;

  const box = composer.querySelector("textarea");
  const send = composer.querySelector("[data-testid=send]");
  const state = document.getElementById("brouillon-etat");
  const field = (name) => (composer.elements[name] ? composer.elements[name].value : "");

  // -- the count -----------------------------------------------------------------------------------------------------

  const count = document.getElementById("compte");
  const limit = Number(box.dataset.limit);
  const most = Number(box.dataset.most);
  const unit = box.dataset.unit === "bytes" ? "octets" : "caractères";
  let exact = null; // [text, how many messages], as the server cuts it
  function measure() {
    const text = box.value.trim();
    const size = unit === "octets" ? new TextEncoder().encode(text).length : text.length;
    const over = text.length > most;
    const parts = exact && exact[0] === text ? exact[1] : Math.max(1, Math.ceil(size / limit));
    let words = figures(size) + "\u00a0/\u00a0" + figures(limit) + "\u00a0" + unit;
    if (over) words = figures(text.length) + " caractères\u00a0: " + figures(most) + " au plus, raccourcissez.";
    else if (parts > 1) words += ", partira en " + parts + "\u00a0messages.";
    else words += ".";
    count.textContent = words;
    count.classList.toggle("many", parts > 1 && !over);
    count.classList.toggle("over", over);
    box.setCustomValidity(over ? words : "");
    box.style.height = "auto";
    box.style.height = Math.min(box.scrollHeight + 2, window.innerHeight * 0.18) + "px"; // the thread keeps its half
  }

  // -- the draft -----------------------------------------------------------------------------------------------------

  // What the person had said when the text was begun: the newest message that the page shows is not what it answers. A box
  // that was emptied begins anew.
  const begun = document.getElementById("vu-debut");
  let blank = !box.value.trim();
  function begin() {
    const was = blank;
    blank = !box.value.trim();
    if (!was && !blank) return;
    begun.value = field("vu");
    document.getElementById("question-envoi")?.remove();
    document.querySelector("[data-testid=draft-older]")?.remove();
    send.textContent = send.dataset.plain;
  }
  function warn() {
    if (blank || Number(field("vu")) <= Number(begun.value) || document.querySelector("[data-testid=draft-older]")) return;
    const line = document.createElement("p");
    line.className = "small warn-text";
    line.dataset.testid = "draft-older";
    line.setAttribute("role", "status");
    line.textContent = "La personne a écrit depuis ce brouillon\u00a0: relisez-le avant d’envoyer.";
    begun.after(line);
  }
  document.addEventListener("planton:refreshed", () => {
    if (blank) begun.value = field("vu");
    warn();
  });

  let timer = 0;
  let saved = box.value;
  const unsaved = () => box.value !== saved;

  async function keep() {
    clearTimeout(timer);
    const text = box.value;
    const answer = await post(path + "/brouillon", { message: text, vu: begun.value, cle: field("cle") }, true);
    if (answer.status === 401) throw new Error("session");
    const told = answer.ok || answer.status === 422 ? await answer.json() : null;
    if (!answer.ok) {
      state.textContent = told ? told.what : "Brouillon gardé dans cet onglet.";
      return;
    }
    saved = text;
    if (box.value === text) drop();
    if (told.parts) exact = [text.trim(), told.parts];
    state.textContent = told.kept ? "Brouillon enregistré." : "";
    measure();
  }

  const away = () => (state.textContent = "Pas encore enregistré\u00a0: gardé dans cet onglet.");
  function later() {
    stored("setItem", key, box.value);
    stored("setItem", BEGUN, begun.value);
    state.textContent = "";
    clearTimeout(timer);
    timer = setTimeout(() => keep().catch(away), 600);
  }

  const typed = () => {
    begin();
    measure();
    later();
  };
  box.addEventListener("input", typed);
  window.planton.put = put;

  // Words go in below what is written already.
  window.planton.add = add;
  function add(text) {
    if (box.value.trim()) put((box.value.endsWith("\n") ? "" : "\n") + text, box.value.length, box.value.length);
    else put(text, 0, box.value.length);
  }

  // Words go in at the caret, or take the place of `from`..`to`; the first blank to fill is selected.
  function put(text, from, to) {
    const start = from === undefined ? box.selectionStart : from;
    const end = to === undefined ? box.selectionEnd : to;
    box.setRangeText(text, start, end, "end");
    const blank = /\{\{[^{}\n]*\}\}/.exec(text);
    if (blank) box.setSelectionRange(start + blank.index, start + blank.index + blank[0].length);
    box.focus();
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // The page goes away, or another form leads on: what is typed goes first.
  const flush = () => {
    if (!unsaved() || sending) return;
    const body = new URLSearchParams({ message: box.value, vu: begun.value, cle: field("cle") });
    const headers = { "X-CSRF-Token": field("csrf"), "X-Planton-Live": "1" };
    fetch(path + "/brouillon", { method: "POST", headers, body, keepalive: true }).then(
      (answer) => answer.ok && drop(),
      () => {},
    );
  };
  addEventListener("pagehide", flush);
  let passing = false;
  document.addEventListener("submit", (event) => {
    if (event.target === composer || passing || !unsaved()) return;
    event.preventDefault();
    const [form, button] = [event.target, event.submitter];
    const restore = pressed(form);
    const wait = new Promise((done) => setTimeout(done, 1500)); // a line that is lost keeps nobody here
    Promise.race([keep(), wait])
      .catch(() => {})
      .then(() => {
        passing = true;
        if (button) button.disabled = false;
        restore();
        form.requestSubmit(button || undefined);
        passing = false;
      });
  });
  document.addEventListener("planton:refreshed", () => unsaved() && keep().catch(away));

  const left = stored("getItem", key);
  if (left && !box.hasAttribute("data-kept") && left !== box.value) {
    box.value = left;
    blank = false;
    const then = stored("getItem", BEGUN);
    if (then && Number(then) < Number(begun.value)) begun.value = then;
    warn();
    later();
  }
  measure();
  if (box.value && !unsaved()) keep().catch(() => {});
  box.setSelectionRange(box.value.length, box.value.length);

  const asks = document.getElementById("question-envoi");
  // The text has the focus, so that the same keys say yes; the question is what is to be in view, once the focus has scrolled.
  if (asks) addEventListener("load", () => requestAnimationFrame(() => asks.scrollIntoView({ block: "nearest" })));
  const notes = document.getElementById("note-privee");
  notes?.addEventListener("toggle", () => notes.open && notes.scrollIntoView({ block: "nearest" }));

  // -- sending -------------------------------------------------------------------------------------------------------

  // The draft goes first: if the line is lost, the page stays, and so do the words.
  let sending = false;
  let ready = false;
  composer.addEventListener("submit", (event) => {
    if (ready) return;
    event.preventDefault();
    if (sending) return;
    sending = true;
    const button = event.submitter || send;
    const restore = pressed(composer);
    keep()
      .then(() => {
        ready = true;
        button.disabled = false;
        restore();
        composer.requestSubmit(button);
      })
      .catch((error) => {
        if (error.message !== "session")
          say("Connexion perdue\u00a0: votre message n’est pas parti. Il est gardé\u202f; envoyez-le dès que la connexion revient.");
        else window.planton.refresh(); // says that the session has ended
        away();
        setTimeout(() => (button.disabled = false), 50);
        sending = false;
      });
  });
  addEventListener("pageshow", () => {
    sending = ready = false;
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
      event.preventDefault();
      // A key that is held down answers no question that has just been asked.
      if (!send.disabled && !event.repeat) composer.requestSubmit(send);
    }
  });

  // -- the suggestion ------------------------------------------------------------------------------------------------

  const bar = document.getElementById("suggestion");
  const others = document.getElementById("suggestion-autres");
  let offered = []; // the best first
  let shown = 0;
  let about = "";
  let ignored = "";
  async function suggest() {
    const seen = field("vu");
    if (seen === about || seen === ignored) return;
    about = seen;
    bar.hidden = true;
    const answer = await fetch(path + "/suggestion", { headers: { "X-Planton-Live": "1" }, cache: "no-store" });
    if (answer.status !== 200 || about !== seen) return;
    offered = await answer.json();
    others.replaceChildren(...offered.map(choice));
    others.hidden = offered.length < 2;
    show(0);
    bar.hidden = false;
    if (document.activeElement === box && !document.getElementById("question-envoi"))
      box.scrollIntoView({ block: "nearest" }); // who writes goes on seeing the text
  }
  function choice(one, at) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = one.name;
    button.addEventListener("click", () => show(at));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }
  function show(at) {
    shown = at;
    const one = offered[at];
    const start = one.question ? "\u00a0: " : ", sur\u00a0: ";
    document.getElementById("suggestion-source").textContent = "· " + one.source + (one.about ? start + one.about : "");
    const text = document.getElementById("suggestion-texte");
    text.textContent = one.text;
    text.scrollTop = 0;
    others.querySelectorAll("button").forEach((button, i) => button.setAttribute("aria-pressed", String(i === at)));
  }
  document.getElementById("suggestion-reprendre").addEventListener("click", () => {
    const one = offered[shown];
    bar.hidden = true;
    ignored = about;
    add(one.text);
    // Another question than the best: what was understood deserves a look.
    const taken = shown && one.question ? post(path + "/catalogue", { question: one.question }) : post(path + "/suggestion", {});
    taken.catch(() => {});
  });
  document.getElementById("suggestion-ignorer").addEventListener("click", () => {
    bar.hidden = true;
    ignored = about;
    box.focus();
  });
  const ask = () => suggest().catch(() => {});
  document.addEventListener("planton:refreshed", ask);
  ask();

  // -- someone else took the conversation, or the window closed: the draft stays, sending waits ------------------------

  function mode() {
    const can = document.getElementById("tete").dataset.canWrite === "1";
    if (can && !composer) {
      const note = document.getElementById("note");
      if (note && note.value.trim())
        return say("Cette conversation est maintenant à vous\u00a0: ajoutez votre note, puis répondez.");
      return location.reload();
    }
    if (!composer) return;
    let note = document.getElementById("plus-a-moi");
    if (!can && !note) {
      note = document.createElement("p");
      note.id = "plus-a-moi";
      note.className = "alert";
      note.setAttribute("role", "alert");
      note.textContent =
        "Vous ne pouvez plus répondre ici\u00a0: voyez en haut de la page qui a la conversation. Votre brouillon est gardé.";
      composer.before(note);
    } else if (can && note) note.remove();
    send.disabled = !can;
    if (!can) bar.hidden = true;
  }
})();
