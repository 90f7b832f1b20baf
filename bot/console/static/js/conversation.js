/* A conversation's page: its address, the thread that follows what is said, older messages, attachments that fail. */
(() => {
  "use strict";
  const number = document.body.dataset.conversation;
  const path = "/conversations/" + number;
  const thread = document.getElementById("fil");
  const older = document.getElementById("plus-haut");
  const link = document.getElementById("anciens");
  const down = document.getElementById("vers-le-bas");
  const spoken = document.getElementById("dit");
  const recent = () => document.getElementById("recents");
  const articles = () => [...recent().querySelectorAll("article")];
  const newest = () => !recent().hasAttribute("data-newer");
  const atEnd = () => thread.scrollHeight - thread.scrollTop - thread.clientHeight < 80;
  let unseen = 0; // messages that came while the end was out of view
  let ended = false; // the end was in view when anybody last scrolled
  const toEnd = () => {
    thread.scrollTop = thread.scrollHeight;
    down.hidden = ended = true;
    unseen = 0;
  };
  const text = async (query) => {
    const answer = await fetch(path + query, { headers: { "X-Planton-Live": "1" }, cache: "no-store", redirect: "manual" });
    if (!answer.ok) throw new Error("HTTP " + answer.status);
    return answer.text();
  };

  // Whatever form led here, the page is the conversation's: a reload repeats nothing. Older parts keep their address.
  // A link to one message (a search's result) leads to it and keeps its mark.
  const aim = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
  const start = new URLSearchParams(location.search).has("le");
  if (newest() && !start) history.replaceState(null, "", path);
  // What was shown goes on being shown: the part grows with what is said.
  const keep = () => {
    if (newest()) document.body.dataset.shown = recent().dataset.since ? "?depuis=" + recent().dataset.since : "";
  };
  keep();

  if (aim) aim.scrollIntoView({ block: "center" });
  else if (start) thread.scrollTop = 0;
  else if (newest()) toEnd();
  down.addEventListener("click", () => {
    toEnd();
    thread.focus();
  });
  thread.addEventListener("scroll", () => {
    ended = atEnd();
    if (!ended) return;
    down.hidden = true;
    unseen = 0;
  });
  // What opens below the thread (a suggestion, a note, a longer text) takes from its height, and not the newest message.
  new ResizeObserver(() => ended && newest() && toEnd()).observe(thread);

  // -- what is new ------------------------------------------------------------------------------------------------

  let known = new Set(articles().map((a) => a.id));
  let first = null; // the first message that came while nobody looked
  let follow = true;
  let top = 0;
  const looking = () => !document.hidden && document.hasFocus() && atEnd();

  function sign() {
    document.getElementById("nouveaux")?.remove();
    const at = first && document.getElementById(first);
    if (!at) return;
    const line = document.createElement("p");
    line.id = "nouveaux";
    line.className = "new-mark";
    line.setAttribute("aria-hidden", "true"); // the log has said the messages themselves, and would say this line again and again
    line.dataset.testid = "new-messages";
    line.textContent = "Nouveaux messages";
    at.before(line);
  }

  // Seen and stayed with: what comes next is new again.
  let seen;
  function settle() {
    clearTimeout(seen);
    if (first && looking()) {
      seen = setTimeout(() => {
        if (!looking()) return;
        first = null;
        sign();
      }, 8000);
    }
  }
  thread.addEventListener("scroll", settle);
  document.addEventListener("visibilitychange", settle);
  window.addEventListener("focus", settle);

  document.addEventListener("planton:before", () => {
    follow = ended || atEnd();
    top = thread.scrollTop;
  });
  document.addEventListener("planton:refreshed", () => {
    const fresh = articles().filter((a) => !known.has(a.id));
    const said = fresh.filter((a) => a.classList.contains("person"));
    if (said.length && !first && !(follow && looking())) first = said[0].id;
    if (fresh.some((a) => a.dataset.author === "agent")) first = null; // we have answered
    known = new Set(articles().map((a) => a.id));
    sign();
    if (follow && newest()) toEnd();
    else {
      thread.scrollTop = top;
      unseen += said.length;
      if (said.length) down.hidden = false;
      down.textContent = (unseen > 1 ? unseen + " nouveaux messages" : "1 nouveau message") + " ↓";
    }
    settle();
    keep();
    again();
  });

  // -- what was said before ---------------------------------------------------------------------------------------

  let changes = recent().dataset.changes;
  let loading = false;

  function part(page) {
    return new DOMParser().parseFromString(page, "text/html").body.firstElementChild;
  }

  link.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (loading) return;
    loading = true;
    link.setAttribute("aria-busy", "true");
    try {
      const found = document.importNode(part(await text(new URL(link.href).search)), true);
      found.dataset.asked = new URL(link.href).search;
      const height = thread.scrollHeight - thread.scrollTop;
      older.prepend(found);
      older.hidden = false;
      // The last day of what came in is the first of what stands below it.
      const days = [...thread.querySelectorAll(".day")];
      days.forEach((day, i) => (day.hidden = i > 0 && day.textContent === days[i - 1].textContent));
      thread.scrollTop = thread.scrollHeight - height;
      const count = found.querySelectorAll("article").length;
      spoken.textContent = count + (count > 1 ? " messages plus anciens affichés." : " message plus ancien affiché.");
      link.href = path + "?avant=" + found.dataset.older;
      link.parentElement.hidden = !found.dataset.older;
      if (!found.dataset.older) thread.focus({ preventScroll: true });
    } catch {
      location.assign(link.href); // the page itself says what is wrong
    } finally {
      loading = false;
      link.removeAttribute("aria-busy");
    }
  });

  // Somebody edited or withdrew a message: the parts above are not live, so they are read again.
  async function again() {
    if (recent().dataset.changes === changes) return;
    changes = recent().dataset.changes;
    for (const old of older.querySelectorAll("[data-asked]")) {
      try {
        const found = document.importNode(part(await text(old.dataset.asked)), true);
        found.dataset.asked = old.dataset.asked;
        old.replaceWith(found);
      } catch {
        old.remove(); // rather nothing than words that were withdrawn
        link.parentElement.hidden = false;
      }
    }
  }

  // -- attachments ------------------------------------------------------------------------------------------------

  // A picture or a player cannot say why it fails: the same address tells it in words.
  const UNSHOWN = "Cette pièce ne peut pas être affichée ici. Téléchargez-la pour l’ouvrir.";
  const failed = new Map(); // the picture's or player's id → why
  function tell(id) {
    const shown = document.getElementById(id);
    if (!shown) return;
    const box = shown.closest("details");
    let line = box.querySelector(".piece-error");
    if (!line) {
      line = document.createElement("p");
      line.className = "piece-error";
      line.dataset.testid = "attachment-error";
      line.setAttribute("role", "alert");
      box.append(line);
    }
    if (line.textContent !== failed.get(id)) line.textContent = failed.get(id);
    (shown.closest("a") || shown).hidden = true;
    box.querySelector(".piece-foot").hidden = failed.get(id) !== UNSHOWN;
  }
  async function why(address) {
    try {
      const answer = await fetch(address, { headers: { Accept: "text/plain" } });
      const words = (answer.headers.get("Content-Type") || "").startsWith("text/plain");
      if (!answer.ok && words) return await answer.text();
      return UNSHOWN;
    } catch {
      return "La connexion est perdue. Réessayez dans un instant.";
    }
  }
  thread.addEventListener(
    "error",
    async (event) => {
      const shown = event.target;
      if (!shown.matches || !shown.matches("[data-piece]")) return;
      failed.set(shown.id, await why(shown.src));
      tell(shown.id);
    },
    true,
  );
  // Opened once more, it is asked for once more.
  thread.addEventListener(
    "toggle",
    (event) => {
      const shown = event.target.open && event.target.querySelector("[data-piece]");
      if (!shown || !failed.delete(shown.id)) return;
      event.target.querySelector(".piece-error")?.remove();
      event.target.querySelector(".piece-foot").hidden = false;
      (shown.closest("a") || shown).hidden = false;
      shown.src = shown.getAttribute("src");
    },
    true,
  );
  document.addEventListener("planton:refreshed", () => [...failed.keys()].forEach(tell));
})();
