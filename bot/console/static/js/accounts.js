/* Copy, print, and a level that is asked only of those who validate. All of it works without. */
(() => {
  "use strict";
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const from = document.getElementById(button.dataset.copy);
      const items = [...from.querySelectorAll("li")].map((li) => li.textContent.trim());
      try {
        await navigator.clipboard.writeText(items.join("\n") || from.value || from.textContent.trim());
        button.textContent = "Copié";
      } catch {
        button.textContent = "Copie refusée par le navigateur";
      }
      setTimeout(() => (button.textContent = label), 3000);
    });
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
  for (const role of document.querySelectorAll("[data-role]")) {
    const level = document.getElementById(role.dataset.role);
    const follow = () => (level.hidden = !["validator", "administrator"].includes(role.value));
    role.addEventListener("change", follow);
    follow();
  }
})();
