/* A conversation's page: its address, and the thread that follows what is said. */
(() => {
  "use strict";
  const number = document.body.dataset.conversation;
  const down = document.getElementById("vers-le-bas");
  const thread = () => document.getElementById("fil");
  const said = () => thread().querySelectorAll(".person").length;
  const atEnd = () => thread().scrollHeight - thread().scrollTop - thread().clientHeight < 80;
  const toEnd = () => {
    thread().scrollTop = thread().scrollHeight;
    down.hidden = true;
  };

  // Whatever form led here, the page is the conversation's: a reload repeats nothing.
  const asked = new URLSearchParams(location.search).get("messages");
  history.replaceState(null, "", "/conversations/" + number + (asked ? "?messages=" + encodeURIComponent(asked) : ""));

  toEnd();
  down.addEventListener("click", () => {
    toEnd();
    thread().focus();
  });
  const watch = () => thread().addEventListener("scroll", () => atEnd() && (down.hidden = true));
  watch();

  let follow = true;
  let before = 0;
  document.addEventListener("planton:before", () => {
    follow = atEnd();
    before = said();
  });
  document.addEventListener("planton:refreshed", () => {
    if (follow) toEnd();
    else if (said() > before) down.hidden = false;
  });
})();
