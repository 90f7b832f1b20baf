/* The console's live parts. Every page works without this script: plain links and forms.

   News arrive as server-sent events that carry conversation numbers only; the page then asks for its own fragment and
   morphs it in, so that focus, open details and the draft stay. One tab of the browser holds the connection and tells
   the others, since browsers allow few connections to one address. */
(() => {
  "use strict";
  const page = document.body.dataset.page;
  const number = document.body.dataset.conversation;
  const composer = document.querySelector("[data-composer]");
  const box = composer && composer.querySelector("textarea");
  const drafts = "planton.brouillon.";

  // -- forms: one click sends once ----------------------------------------------------------------------------------

  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", () => {
      if (form.matches("[data-logout]")) forgetDrafts();
      const button = form.querySelector("[type=submit]");
      // After the form has been read: a disabled button would not stop it, and the browser must still send it.
      setTimeout(() => button && (button.disabled = true), 0);
      setTimeout(() => button && (button.disabled = false), 8000);
    });
  }

  function stored(action, ...rest) {
    try {
      return sessionStorage[action](...rest);
    } catch {
      return null; // storage refused: drafts then live as long as the page
    }
  }

  function forgetDrafts() {
    try {
      for (const key of Object.keys(sessionStorage)) if (key.startsWith(drafts)) sessionStorage.removeItem(key);
    } catch {
      /* nothing was kept */
    }
  }

  // -- the composer -------------------------------------------------------------------------------------------------

  if (document.body.hasAttribute("data-sent")) stored("removeItem", drafts + number);
  if (page === "conversation") {
    // Whatever form led here, the page is the conversation's: a reload repeats nothing.
    const asked = new URLSearchParams(location.search).get("messages");
    history.replaceState(null, "", "/conversations/" + number + (asked ? "?messages=" + encodeURIComponent(asked) : ""));
  }

  if (box) {
    if (!box.hasAttribute("data-kept") && !box.value) box.value = stored("getItem", drafts + number) || "";
    const count = document.getElementById("compte");
    const limit = Number(box.dataset.limit);
    const measure = () => {
      const text = box.value.trim();
      const size = box.dataset.unit === "bytes" ? new TextEncoder().encode(text).length : text.length;
      const parts = Math.max(1, Math.ceil(size / limit));
      const unit = box.dataset.unit === "bytes" ? "octets" : "caractères";
      const figures = size.toLocaleString("fr-FR") + "\u00a0/\u00a0" + limit.toLocaleString("fr-FR") + "\u00a0" + unit;
      count.textContent = parts > 1 ? figures + ", partira en " + parts + "\u00a0messages." : figures + ".";
      count.classList.toggle("many", parts > 1);
      box.style.height = "auto";
      box.style.height = Math.min(box.scrollHeight + 2, window.innerHeight * 0.4) + "px";
    };
    const keep = () => {
      if (box.value) stored("setItem", drafts + number, box.value);
      else stored("removeItem", drafts + number);
    };
    box.addEventListener("input", () => {
      measure();
      keep();
    });
    if (box.value) keep();
    measure();
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) {
        event.preventDefault();
        const send = composer.querySelector("[type=submit]");
        if (!send.disabled) composer.requestSubmit(send);
      }
    });
  }

  const alertBox = document.getElementById("alerte");
  if (alertBox && !box) alertBox.focus();

  // -- the thread ---------------------------------------------------------------------------------------------------

  const down = document.getElementById("vers-le-bas");
  const thread = () => document.getElementById("fil");
  const atEnd = () => {
    const log = thread();
    return !log || log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  };
  const toEnd = () => {
    const log = thread();
    if (log) log.scrollTop = log.scrollHeight;
    if (down) down.hidden = true;
  };
  if (page === "conversation") {
    toEnd();
    down.addEventListener("click", () => {
      toEnd();
      thread().focus();
    });
    thread().addEventListener("scroll", () => {
      if (atEnd()) down.hidden = true;
    });
  }

  // -- live ---------------------------------------------------------------------------------------------------------

  const lost = document.getElementById("lost");
  let stopped = false;

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

  function expired() {
    stopped = true;
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
      const answer = await fetch(location.pathname + location.search, {
        headers: { "X-Planton-Live": "1" },
        cache: "no-store",
        redirect: "manual",
      });
      if (answer.status === 401) return expired();
      if (!answer.ok) return;
      const follow = atEnd();
      const before = thread() && thread().querySelectorAll(".person").length;
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      const counted = count();
      for (const fresh of parsed.querySelectorAll("body > [data-live]")) await swap(fresh);
      if (page === "conversation") {
        if (follow) toEnd();
        else if (thread().querySelectorAll(".person").length > before) down.hidden = false;
        mode();
      } else announce(counted);
    } catch {
      /* the stream says when the line is lost */
    } finally {
      asking = false;
      if (again) {
        again = false;
        setTimeout(refresh, 300);
      }
    }
  }

  const count = () => {
    const queue = document.getElementById("queue");
    return queue ? Number(queue.dataset.count) : 0;
  };
  const title = document.title;
  function announce(before) {
    const after = count();
    document.title = after ? "(" + after + ") " + title : title;
    const place = document.getElementById("annonce");
    if (place && after > before)
      place.textContent = after === 1 ? "Une demande à prendre." : after + " demandes à prendre.";
  }

  // Someone else took the conversation, or the window closed: the draft stays, sending waits.
  function mode() {
    const can = document.getElementById("tete").dataset.canWrite === "1";
    if (can && !composer) return location.reload();
    if (!composer) return;
    const send = composer.querySelector("[type=submit]");
    let note = document.getElementById("plus-a-moi");
    if (!can && !note) {
      note = document.createElement("p");
      note.id = "plus-a-moi";
      note.className = "alert";
      note.setAttribute("role", "alert");
      note.textContent = "Vous ne pouvez plus répondre ici\u00a0: voyez en haut de la page qui a la conversation. Votre brouillon est gardé.";
      composer.before(note);
    } else if (can && note) note.remove();
    send.disabled = !can;
  }

  function heard(news) {
    if (news.kind === "fin") return expired();
    if (news.kind === "perdu") {
      if (!stopped) say("Connexion perdue. Votre brouillon est gardé\u202f; l’affichage reprendra tout seul.");
      return;
    }
    if (news.kind === "pret") {
      if (!stopped) say("");
      return refresh();
    }
    if (page === "queue" || news.numbers.includes(number) || news.numbers.includes("*")) refresh();
  }

  function listen(tell) {
    let first = true;
    const open = () => {
      const source = new EventSource("/flux");
      source.addEventListener("pret", () => {
        tell({ kind: "pret", first });
        first = false;
      });
      source.addEventListener("change", (event) => tell({ kind: "change", numbers: event.data.split(",") }));
      source.addEventListener("fin", () => {
        source.close();
        tell({ kind: "fin" });
      });
      source.onerror = () => {
        tell({ kind: "perdu" });
        // The browser tries again by itself, except when it was refused: then the page finds out why.
        if (source.readyState === EventSource.CLOSED) {
          refresh();
          if (!stopped) setTimeout(open, 3000);
        }
      };
    };
    open();
  }

  if (page === "queue" || page === "conversation") {
    announce(Infinity);
    setInterval(() => document.hidden || refresh(), 30000);
    document.addEventListener("visibilitychange", () => document.hidden || refresh());
    if (navigator.locks && window.BroadcastChannel) {
      const channel = new BroadcastChannel("planton");
      channel.onmessage = (message) => heard(message.data);
      navigator.locks.request("planton-flux", () => {
        listen((news) => {
          channel.postMessage(news);
          heard(news);
        });
        return new Promise(() => {}); // held until the tab closes; the next one takes over
      });
    } else listen(heard);
  }
})();
