/* What makes a day at the console easier: shortcuts, what rings, what is about to be late, the first visit.

   planton.alarm(title, text, pressing): a sound and a notification, as far as the person has switched them on; one tab
   of the browser rings for all. Never a citizen's words: a notification shows on a locked screen. */
(() => {
  "use strict";
  const body = document.body;
  const chosen = body.dataset; // data-sound, data-notify, data-ring (all, urgent), data-keys (off), data-alerts
  const el = (name, attributes = {}, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };

  // -- what rings ---------------------------------------------------------------------------------------------------

  let audio = null;
  // A browser lets a page sound only after the person has done something in it.
  const allow = () => {
    if (!chosen.sound) return;
    audio = audio || new AudioContext();
    if (audio.state === "suspended") audio.resume();
  };
  for (const gesture of ["pointerdown", "keydown"]) document.addEventListener(gesture, allow, { passive: true });

  function sound(pressing) {
    audio = audio || new AudioContext();
    const notes = pressing ? [880, 660, 880, 660] : [660, 880];
    notes.forEach((pitch, i) => {
      const start = audio.currentTime + i * 0.18;
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.type = "sine";
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(0.2, start + 0.02); // no click at the ends
      volume.gain.linearRampToValueAtTime(0, start + 0.16);
      tone.connect(volume).connect(audio.destination);
      tone.start(start);
      tone.stop(start + 0.17);
    });
  }

  const canNotify = () => "Notification" in window && Notification.permission === "granted";

  function ring(title, text, pressing) {
    if (chosen.sound) sound(pressing);
    if (!chosen.notify || !canNotify() || (!document.hidden && document.hasFocus())) return;
    try {
      const shown = new Notification(title, { body: text, tag: pressing ? "planton-urgent" : "planton", lang: "fr" });
      shown.onclick = () => {
        window.focus();
        shown.close();
      };
    } catch {
      /* phones' browsers show none from a page */
    }
  }

  function alarm(title, text = "", pressing = false) {
    if (chosen.ring === "urgent" && !pressing) return;
    if (!navigator.locks) return ring(title, text, pressing);
    navigator.locks.request("planton-alarm", { ifAvailable: true }, (lock) => {
      if (!lock) return undefined; // another tab rings
      ring(title, text, pressing);
      return new Promise((done) => setTimeout(done, 1500));
    });
  }

  // -- what is told above any page ----------------------------------------------------------------------------------

  const banner = document.getElementById("alertes");

  function show(...inside) {
    const hide = el("button", { type: "button", class: "quiet", "data-testid": "alert-hide" }, "Masquer");
    hide.addEventListener("click", () => (banner.hidden = true));
    banner.replaceChildren(...inside, hide);
    banner.hidden = false;
  }

  async function late() {
    const answer = await fetch("/file/alertes", { headers: { "X-Planton-Live": "1" }, cache: "no-store", redirect: "manual" });
    if (!answer.ok) return;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    const said = parsed.querySelector("p");
    if (!said) return;
    alarm("Échéance proche", said.querySelector("strong").textContent, true);
    if (window.planton.page !== "queue") show(document.importNode(said, true));
    else document.getElementById("annonce").textContent = said.querySelector("strong").textContent;
  }

  const ARRIVED = {
    0: ["Urgence vitale", "Une urgence vitale vient d’arriver dans la file."],
    1: ["Demande urgente", "Une demande urgente vient d’arriver dans la file."],
  };

  function arrived(priority) {
    const [title, text] = ARRIVED[priority] || ["Nouvelle demande", "Une demande vient d’arriver dans la file."];
    alarm(title, text, priority < 2);
    if (priority === 0 && window.planton.page !== "queue")
      show(el("p", {}, el("strong", {}, text), " ", el("a", { href: "/file" }, "Voir la file")));
  }

  if (body.hasAttribute("data-alerts"))
    document.addEventListener("planton:news", ({ detail }) => {
      const priorities = detail.tokens.filter((token) => token.startsWith("handoff:")).map((token) => Number(token.slice(8)));
      if (priorities.length) arrived(Math.min(...priorities));
      if (detail.tokens.includes("alert")) late().catch(() => {}); // the page itself says when the line is lost
    });

  // A message in what this person has: counted on the page, which knows whose it is.
  const theirs = () => {
    const head = document.getElementById("tete");
    if (head) return head.dataset.mine === "1" ? document.querySelectorAll("#fil .person").length : 0;
    return document.querySelectorAll("#queue .chip.new").length;
  };
  let before = 0;
  document.addEventListener("planton:before", () => (before = theirs()));
  document.addEventListener("planton:refreshed", () => {
    if (body.hasAttribute("data-alerts") && theirs() > before) alarm("Nouveau message", "Une personne que vous suivez a écrit.");
  });

  // -- shortcuts ----------------------------------------------------------------------------------------------------

  const FIELD = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable]";
  const usable = (item) =>
    !item.disabled && (item.closest("[data-keys-only]") || item.closest("details:not([open])") || item.checkVisibility());
  const targets = () => [...document.querySelectorAll("[data-shortcut]")].filter(usable);

  function go(item) {
    for (let fold = item.closest("details:not([open])"); fold; fold = fold.parentElement.closest("details:not([open])"))
      if (!item.matches("summary")) fold.open = true;
      else break;
    if (item.matches(FIELD) || item.dataset.shortcutDoes === "focus") {
      item.focus();
      item.scrollIntoView({ block: "nearest" });
    } else {
      if (item.matches("summary")) item.focus();
      item.click();
    }
  }

  let first = ""; // of two keys
  let forget = 0;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    if (event.key === "Escape" && event.target.matches?.(FIELD) && !event.target.closest("dialog, [popover]")) return event.target.blur();
    if (chosen.keys === "off" || event.ctrlKey || event.altKey || event.metaKey || event.key.length !== 1) return;
    if (event.target.closest?.(FIELD) || document.querySelector("dialog:modal")) return;
    const keys = first ? first + " " + event.key.toLowerCase() : event.key.toLowerCase();
    clearTimeout(forget);
    first = "";
    const all = targets();
    const found = all.find((item) => item.dataset.shortcut === keys);
    if (found) {
      event.preventDefault();
      go(found);
    } else if (all.some((item) => item.dataset.shortcut.startsWith(keys + " "))) {
      first = keys;
      forget = setTimeout(() => (first = ""), 1500);
    }
  });

  const keysOf = (keys) => keys.split(" ").flatMap((key, i) => (i ? [" puis ", el("kbd", {}, key)] : [el("kbd", {}, key)]));

  function list() {
    const old = document.getElementById("touches");
    if (old) old.remove();
    const rows = new Map();
    const ofPage = (item) => item.closest("main") || item.closest("[data-keys-only]");
    for (const item of targets().sort((a, b) => Boolean(ofPage(b)) - Boolean(ofPage(a)))) rows.set(item.dataset.shortcutLabel, item.dataset.shortcut);
    const shut = el("button", { type: "button", class: "primary", autofocus: "" }, "Fermer");
    const dialog = el(
      "dialog",
      { id: "touches", class: "keys-dialog", "aria-labelledby": "touches-titre", "data-testid": "keys-dialog" },
      el("h2", { id: "touches-titre" }, "Raccourcis de cette page"),
      el("dl", {}, ...[...rows].map(([label, keys]) => el("div", {}, el("dt", {}, ...keysOf(keys)), el("dd", {}, label)))),
      el("p", { class: "keys-foot" }, el("a", { href: "/aide" }, "Toute l’aide"), shut)
    );
    shut.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    body.append(dialog);
    dialog.showModal();
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-shows-keys]")) list();
  });

  // -- the first visit ----------------------------------------------------------------------------------------------

  const tour = document.getElementById("visite");
  if (tour) visit(tour);

  function visit(card) {
    const steps = [...card.querySelectorAll("[data-step]")];
    const next = el("button", { type: "button", class: "primary", "data-testid": "tour-next" }, "Suivant");
    const previous = el("button", { type: "button", "data-testid": "tour-previous" }, "Précédent");
    const done = card.querySelector("[data-tour-done]");
    let at = 0;
    const place = (move) => {
      at = Math.min(steps.length - 1, Math.max(0, at + move));
      steps.forEach((step, i) => (step.hidden = i !== at));
      previous.hidden = at === 0;
      next.hidden = at === steps.length - 1;
      done.textContent = at === steps.length - 1 ? "J’ai compris" : "Passer la visite";
      done.classList.toggle("primary", at === steps.length - 1);
      if (move) steps[at].querySelector("h3").focus();
    };
    done.before(previous, next);
    next.addEventListener("click", () => place(1));
    previous.addEventListener("click", () => place(-1));
    card.addEventListener("keydown", (event) => event.key === "Escape" && done.click());
    done.form.addEventListener("submit", (event) => {
      event.preventDefault();
      card.remove();
      document.getElementById("contenu").focus();
      window.planton.post("/mon-compte/preferences", { visite: "vue" });
    });
    place(0);
    if (card.hasAttribute("data-again")) steps[0].querySelector("h3").focus();
  }

  // -- the page of preferences --------------------------------------------------------------------------------------

  const notify = document.getElementById("notifications");
  if (notify) {
    const state = document.getElementById("notifications-etat");
    const say = () => {
      if (!("Notification" in window)) state.textContent = "Ce navigateur n’affiche pas de notifications.";
      else if (Notification.permission === "denied")
        state.textContent = "Votre navigateur les refuse pour ce site\u00a0: autorisez-les dans ses réglages.";
      else if (notify.checked && Notification.permission === "default")
        state.textContent = "Votre navigateur va vous demander la permission.";
      else state.textContent = "";
    };
    notify.addEventListener("change", async () => {
      say();
      if (notify.checked && "Notification" in window && Notification.permission === "default") await Notification.requestPermission();
      say();
    });
    say();
    document.getElementById("essai").hidden = false;
    document.getElementById("essai").addEventListener("click", () => sound(false));
    for (const theme of document.querySelectorAll("input[name=theme]"))
      theme.addEventListener("change", () => {
        if (theme.value === "auto") delete document.documentElement.dataset.theme;
        else document.documentElement.dataset.theme = theme.value;
      });
  }

  Object.assign(window.planton, { alarm });
})();
