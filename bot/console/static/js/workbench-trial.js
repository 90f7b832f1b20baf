/* The trial: a message is sent without leaving the page, and Enter sends it. Without this script the form does the same. */
(() => {
  "use strict";
  const place = () => document.getElementById("essai");
  let busy = false;

  async function send(form, button) {
    if (busy) return;
    busy = true;
    const fields = new FormData(form);
    if (button && button.name) fields.set(button.name, button.value);
    place().setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
      if (answer.type === "opaqueredirect") return void location.reload(); // the session is over
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("essai");
      const alert = page.getElementById("alerte");
      if (!fresh) return void planton.say("L’essai n’a pas répondu. Réessayez.");
      const typed = alert ? document.getElementById("message").value : "";
      place().replaceWith(document.importNode(fresh, true));
      planton.say(alert ? alert.textContent : "");
      const field = document.getElementById("message");
      field.value = typed;
      field.focus();
      place().querySelector(".trial-exchanges > li:last-child")?.scrollIntoView({ block: "nearest" });
    } catch {
      planton.say("Connexion perdue\u00a0: rien n’a été envoyé.");
    } finally {
      busy = false;
      place().removeAttribute("aria-busy");
    }
  }

  document.addEventListener("submit", (event) => {
    if (event.target.id !== "message-form") return;
    event.preventDefault();
    send(event.target, event.submitter);
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "message" || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  });
})();
