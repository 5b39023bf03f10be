// Runs before the first paint, so that nobody sees the wrong theme or language flash by.
(() => {
  "use strict";
  const root = document.documentElement;
  let theme = null;
  let language = null;
  try {
    theme = localStorage.getItem("raftkafka.theme");
    language = localStorage.getItem("raftkafka.language");
  } catch {
    // Storage may be forbidden: the browser's own preferences count then.
  }
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const spoken = (navigator.languages || []).map((each) => each.slice(0, 2).toLowerCase());
  root.lang = [language, ...spoken].find((each) => each === "en" || each === "ko") || "en";
})();
