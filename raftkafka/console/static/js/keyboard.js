// Keys for the whole console; tables and dialogs have their own (components/table.js, the browser's <dialog>).

import { go } from "./router.js";
import { h } from "./dom.js";
import { openDialog } from "./components/dialog.js";
import { t } from "./i18n/texts.js";

/** After `g`. The letters are the same in every language: they are learned by the fingers. */
const PLACES = {
  o: ["/", "nav.overview"],
  b: ["/brokers", "nav.brokers"],
  t: ["/topics", "nav.topics"],
  p: ["/map", "nav.map"],
  c: ["/groups", "nav.groups"],
  r: ["/reassign", "nav.reassign"],
  e: ["/election", "nav.election"],
  m: ["/messages", "nav.messages"],
  l: ["/timeline", "nav.timeline"],
};
const CHORD_MS = 1_500;

let since = 0;

export function startKeyboard() {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    // `code` too: with a Korean layout the key of T types ㅅ.
    const letter = /^Key[A-Z]$/.test(event.code) ? event.code.slice(3).toLowerCase() : event.key.toLowerCase();
    if (since && performance.now() - since < CHORD_MS && letter in PLACES) {
      event.preventDefault();
      since = 0;
      go(PLACES[letter][0]);
      return;
    }
    since = letter === "g" ? performance.now() : 0;
    if (event.key === "/") search(event);
    else if (event.key === "?") showKeys();
    else if (letter === "n") create(event);
  });
}

function isTyping(element) {
  return element instanceof HTMLElement && (element.matches("textarea, select, input:not([type=checkbox], [type=radio], [type=range])") || element.isContentEditable);
}

function create(event) {
  event.preventDefault(); // else the letter would land in the dialog's first field
  document.querySelector("[data-key='n']")?.click();
}

function search(event) {
  event.preventDefault();
  const field = document.querySelector("main [data-search]");
  if (field) {
    field.focus();
    field.select();
  } else go("/topics", { focus: "search" });
}

export function showKeys() {
  const row = (keys, text) => [h("div", {}, keys.map((key) => [h("kbd", {}, key), " "])), h("div", {}, text)];
  openDialog({
    title: t("keys.title"),
    body: h("div.keys", {}, [
      row(["/"], t("keys.search")),
      Object.entries(PLACES).map(([letter, [, key]]) => row(["g", letter], t(key))),
      row(["n"], t("keys.new")),
      row(["↑", "↓", "Home", "End"], t("keys.rows")),
      row(["Enter"], t("keys.open")),
      row(["Space"], t("keys.select")),
      row(["←", "→"], t("keys.time")),
      row(["Esc"], t("keys.close")),
      row(["?"], t("keys.help")),
    ]),
  });
}
