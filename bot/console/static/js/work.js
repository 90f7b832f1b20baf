/* The composer: the draft that survives a reload, the count, the key that sends, and what happens when another takes over. */
(() => {
  "use strict";
  const { stored } = window.planton;
  const number = document.body.dataset.conversation;
  const composer = document.querySelector("[data-composer]");
  const key = "planton.brouillon." + number;

  if (document.body.hasAttribute("data-sent")) stored("removeItem", key);
  if (composer) write(composer.querySelector("textarea"));
  document.addEventListener("planton:refreshed", mode);

  function write(box) {
    if (!box.hasAttribute("data-kept") && !box.value) box.value = stored("getItem", key) || "";
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
      if (box.value) stored("setItem", key, box.value);
      else stored("removeItem", key);
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
      note.textContent =
        "Vous ne pouvez plus répondre ici\u00a0: voyez en haut de la page qui a la conversation. Votre brouillon est gardé.";
      composer.before(note);
    } else if (can && note) note.remove();
    send.disabled = !can;
  }
})();
