/* The editor of a reply: bytes while typing, the phones a moment later. Without this script a button shows them. */
(() => {
  "use strict";
  const form = document.querySelector("form[data-preview]");
  if (!form) return;
  const limit = Number(form.dataset.limit);
  const aim = Number(form.dataset.aim);
  const encoder = new TextEncoder();
  let waiting = 0;
  let asked = 0;

  for (const button of form.querySelectorAll("[data-without-script]")) button.hidden = true;

  function count(area) {
    const line = document.getElementById(area.dataset.bytes);
    const size = encoder.encode(area.value.replace(/\r\n?/g, "\n").trim()).length;
    line.textContent = `${size} / ${limit} octets`;
    line.classList.toggle("over", size > limit);
    line.classList.toggle("much", size > aim && size <= limit);
  }

  async function look() {
    const mine = ++asked;
    try {
      const answer = await window.planton.post(form.dataset.preview, new FormData(form), true);
      if (!answer.ok || mine !== asked) return; // a later one is on its way
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("apercu");
      const old = document.getElementById("apercu");
      if (fresh && old) old.replaceWith(document.importNode(fresh, true));
      bottom();
    } catch {
      /* the line is lost: what is typed stays, the next key asks again */
    }
  }

  // As on a phone: the end of the message is seen first.
  function bottom() {
    for (const talk of document.querySelectorAll(".screen-talk")) talk.scrollTop = talk.scrollHeight;
  }

  form.addEventListener("input", (event) => {
    if (event.target.matches("textarea[data-bytes]")) count(event.target);
    clearTimeout(waiting);
    waiting = setTimeout(look, 400);
  });

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-today]");
    if (!button) return;
    event.preventDefault();
    document.getElementById(button.dataset.into).value = button.dataset.today;
    clearTimeout(waiting);
    look();
  });

  bottom();
})();
