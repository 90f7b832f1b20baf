/* The State's theme tells light from dark by an attribute that a script has to set when the person follows the system.
   It runs before the page is drawn. */
(() => {
  "use strict";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const set = () => {
    root.dataset.frTheme = root.dataset.theme || (system.matches ? "dark" : "light");
  };
  system.addEventListener("change", set);
  new MutationObserver(set).observe(root, { attributeFilter: ["data-theme"] });
  set();
})();
