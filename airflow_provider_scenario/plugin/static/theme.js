// Loaded before the page is drawn, so that it appears at once in the theme that the viewer has chosen in Airflow.
"use strict";
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
      const outside = window.parent === window ? null : window.parent.document.documentElement.classList;
      if (outside && (outside.contains("dark") || outside.contains("light"))) {
        chosen = outside.contains("dark") ? "dark" : "light";
      }
    } catch {
      // No local storage, or a frame of another origin: use the system's theme.
    }
    const dark = chosen === "dark" || (chosen !== "light" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  follow();
  system.addEventListener("change", follow);
  addEventListener("storage", follow);
  try {
    const watched = window.parent.document.documentElement;
    new MutationObserver(follow).observe(watched, { attributes: true, attributeFilter: ["class"] });
  } catch {
    // As above.
  }
})();
