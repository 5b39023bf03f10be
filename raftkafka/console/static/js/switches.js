// Theme and language: the browser's preference, unless a switch was used; that is remembered.

const THEMES = ["auto", "light", "dark"];

function remember(name, value) {
  try {
    if (value === null) localStorage.removeItem(`raftkafka.${name}`);
    else localStorage.setItem(`raftkafka.${name}`, value);
  } catch {
    // Storage may be forbidden: the choice lasts until the page is left.
  }
}

export const theme = () => document.documentElement.dataset.theme ?? "auto";

export function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  remember("theme", next === "auto" ? null : next);
  dispatchEvent(new CustomEvent("theme"));
  return next;
}

export function setLanguage(language) {
  document.documentElement.lang = language;
  remember("language", language);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new CustomEvent("theme")));
