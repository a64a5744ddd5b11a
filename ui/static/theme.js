// Before the first paint: apply the theme this person chose here (kept locally, never sent). A classic script in
// <head>, because a module would run after the page has flashed in the other colours.
(function () {
  "use strict";
  const KEY = "lis.theme";
  const root = document.documentElement;
  const order = ["auto", "light", "dark"];
  function chosen() {
    try { return localStorage.getItem(KEY) || "auto"; } catch { return "auto"; }
  }
  function apply(theme) {
    if (theme === "auto") { delete root.dataset.theme; } else { root.dataset.theme = theme; }
    const button = document.querySelector("[data-theme-switch]");
    if (button) { button.querySelector("span").textContent = button.dataset[theme]; }
  }
  apply(chosen());
  document.addEventListener("DOMContentLoaded", () => apply(chosen()));
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target.closest("[data-theme-switch]") : null;
    if (!target) { return; }
    const next = order[(order.indexOf(chosen()) + 1) % order.length];
    try { localStorage.setItem(KEY, next); } catch { /* private mode: for this page only */ }
    apply(next);
  });
})();
