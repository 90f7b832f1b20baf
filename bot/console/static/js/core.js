/* What every page of the console shares. Pages work without any script: plain links and forms.

   News arrive as server-sent events that carry tokens (ids), never words; the page then asks for its own fragment and
   morphs it in, so that focus, open details and the draft stay. One tab of the browser holds the connection and tells
   the others, since browsers allow few connections to one address.

   A page listens when its body has data-listens: tokens that concern it, separated by spaces ("12", "validation",
   "presence:12"); "conversations" stands for every conversation's number. Topics hear of it through events on document:
   planton:news {tokens, ours}, planton:before (the page is about to refresh itself), planton:refreshed. */
(() => {
  "use strict";
  const listens = (document.body.dataset.listens || "").split(" ").filter(Boolean);
  const lost = document.getElementById("lost");
  let stopped = false;
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent("planton:" + name, { detail }));

  // -- forms: one click sends once, and none while the line is lost -------------------------------------------------

  let away = false; // the line is lost
  const sure = new WeakSet(); // forms that were held back, and leave now

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (away && form.method === "post" && !event.defaultPrevented && !sure.has(form)) {
      event.preventDefault(); // the browser's own error page would take the place of what was typed
      return void hold(form, event.submitter);
    }
    sure.delete(form);
    if (form.matches("[data-logout]")) forget("planton.brouillon.");
    const button = event.submitter || form.querySelector("[type=submit]");
    // After the form has been read: a disabled button would not stop it, and the browser must still send it.
    setTimeout(() => button && (button.disabled = true), 0);
    setTimeout(() => button && (button.disabled = false), 8000);
  });

  // What the person had seen when she pressed goes with the form, whatever the page shows by the time it leaves: the
  // server refuses what does not answer the newest message. The attribute, so that the next refresh goes on from there.
  function pressed(form) {
    const fields = ["vu", "vu_envoi"].map((name) => [name, form.elements.namedItem(name)?.value]);
    return () => {
      for (const [name, value] of fields) if (value !== undefined) form.elements.namedItem(name)?.setAttribute("value", value);
    };
  }

  async function hold(form, button) {
    const restore = pressed(form);
    try {
      await fetch("/static/icon.svg", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    } catch {
      say("Connexion perdue\u00a0: rien n’a été envoyé. Ce que vous avez écrit est gardé. Recommencez quand la connexion sera revenue.");
      return;
    }
    sure.add(form);
    restore();
    form.requestSubmit(button);
  }

  function stored(action, ...rest) {
    try {
      return sessionStorage[action](...rest);
    } catch {
      return null; // storage refused: what is kept then lives as long as the page
    }
  }

  function forget(prefix) {
    try {
      for (const key of Object.keys(sessionStorage)) if (key.startsWith(prefix)) sessionStorage.removeItem(key);
    } catch {
      /* nothing was kept */
    }
  }

  const csrf = () => {
    const field = document.querySelector("input[name=csrf]");
    return field ? field.value : "";
  };

  // A script's form. `quiet`: no sign of life of the person (presence, a draft kept by itself).
  function post(path, fields, quiet) {
    const headers = { "X-CSRF-Token": csrf() };
    if (quiet) headers["X-Planton-Live"] = "1";
    return fetch(path, { method: "POST", headers, body: new URLSearchParams(fields), redirect: "manual" });
  }

  const alertBox = document.getElementById("alerte");
  if (alertBox && !document.querySelector("[data-composer]")) alertBox.focus();

  // -- live ---------------------------------------------------------------------------------------------------------

  function say(text, link) {
    if (lost.textContent === text + (link ? " " + link[0] : "") && !lost.hidden) return;
    lost.textContent = text;
    if (link) {
      const a = document.createElement("a");
      a.href = link[1];
      a.textContent = link[0];
      lost.append(" ", a);
    }
    lost.hidden = !text;
  }

  function gone() {
    if (stopped) return;
    if (!away) say("Connexion perdue. Votre brouillon est gardé\u202f; l’affichage reprendra tout seul.");
    away = true;
  }

  function back() {
    if (stopped) return;
    if (!away) return say("");
    away = false;
    const said = "La connexion est revenue.";
    say(said);
    setTimeout(() => lost.textContent === said && say(""), 3000);
  }

  let close = () => {}; // the stream of this tab, when it is the one that listens

  function expired() {
    stopped = true;
    close();
    const here = location.pathname + location.search;
    say("Votre session a expiré. Ce que vous écrivez reste dans cet onglet.", [
      "Se reconnecter",
      "/connexion?suite=" + encodeURIComponent(here),
    ]);
  }

  async function swap(fresh) {
    const old = document.getElementById(fresh.id);
    if (!old || old.outerHTML === fresh.outerHTML) return;
    const open = [...old.querySelectorAll("details[open]")].map((d) => d.id);
    const fold = () =>
      open.forEach((id) => {
        const d = id && document.getElementById(id);
        if (d) d.open = true;
      });
    if (window.htmx) await htmx.swap({ sourceElement: old, target: old, text: fresh.outerHTML, swap: "outerMorph" });
    else old.replaceWith(document.importNode(fresh, true));
    fold();
  }

  let cut = false; // the stream is
  let asking = false;
  let again = false;
  async function refresh() {
    if (stopped) return;
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      // A page that has grown since it was opened says which part of itself it shows now.
      const shown = document.body.dataset.shown;
      const answer = await fetch(location.pathname + (shown === undefined ? location.search : shown), {
        headers: { "X-Planton-Live": "1" },
        cache: "no-store",
        redirect: "manual",
        signal: AbortSignal.timeout(20000),
      });
      if (away && !cut) back();
      if (answer.status === 401) return expired();
      if (!answer.ok) return;
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      tell("before");
      for (const fresh of parsed.querySelectorAll("body > [data-live]")) await swap(fresh);
      tell("refreshed");
    } catch {
      gone(); // a line that died silently: the stream has not noticed yet
      if (!cut) setTimeout(refresh, 3000);
    } finally {
      asking = false;
      if (again) {
        again = false;
        setTimeout(refresh, 300);
      }
    }
  }

  const concerns = (token) =>
    token === "*" || listens.includes(token) || (listens.includes("conversations") && /^\d+$/.test(token));

  function heard(news) {
    if (news.kind === "fin") return expired();
    if (news.kind === "perdu") {
      cut = true;
      return gone();
    }
    if (news.kind === "pret") {
      cut = false;
      back();
      tell("news", { tokens: ["*"], ours: true });
      return listens.length ? refresh() : undefined;
    }
    const ours = news.tokens.some(concerns);
    tell("news", { tokens: news.tokens, ours });
    if (ours) refresh();
  }

  function listen(pass) {
    let source;
    const open = () => {
      source = new EventSource("/flux");
      source.addEventListener("pret", () => pass({ kind: "pret" }));
      source.addEventListener("change", (event) => pass({ kind: "change", tokens: event.data.split(",") }));
      source.addEventListener("fin", () => {
        source.close();
        pass({ kind: "fin" });
      });
      source.onerror = () => {
        if (stopped) return;
        pass({ kind: "perdu" });
        // The browser tries again by itself, except when it was refused: then the page finds out why.
        if (source.readyState === EventSource.CLOSED) {
          refresh();
          setTimeout(() => stopped || open(), 3000);
        }
      };
    };
    open();
    return () => source.close();
  }

  window.planton = { stored, forget, post, pressed, refresh, say, page: document.body.dataset.page };

  // On a phone the places are one line that scrolls: the one at hand is seen.
  document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  window.addEventListener("offline", gone);
  window.addEventListener("online", () => (listens.length ? refresh() : back()));

  // Pages that ring for what happens elsewhere hear the news too, without showing anything that is refreshed.
  if (listens.length || document.body.hasAttribute("data-alerts")) {
    if (listens.length) {
      setInterval(() => document.hidden || refresh(), 30000);
      document.addEventListener("visibilitychange", () => document.hidden || refresh());
    }
    if (navigator.locks && window.BroadcastChannel) {
      const channel = new BroadcastChannel("planton");
      channel.onmessage = (message) => heard(message.data);
      navigator.locks.request("planton-flux", () => {
        if (stopped) return undefined; // this tab's session is over: another one may listen
        const end = listen((news) => {
          channel.postMessage(news);
          heard(news);
        });
        // Held until the tab closes or its session ends; then the next one takes over.
        return new Promise((done) => {
          close = () => {
            end();
            done();
          };
        });
      });
    } else close = listen(heard);
  }
})();
