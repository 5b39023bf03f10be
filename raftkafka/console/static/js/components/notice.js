// One clear line: inside a page or a dialog (`problem`), or in the corner for a while (`say`, `sayProblem`).

import { h, icon } from "../dom.js";
import { t } from "../i18n/texts.js";

const SHOWN_MS = 5_000;
const PROBLEM_SHOWN_MS = 12_000;
const MOST = 4;

/** What went wrong, in one line: the node's own words behind its error code. */
export function words(error) {
  if (typeof error === "string") return { code: null, text: error };
  if (error.status === 0) return { code: null, text: t("unreachable") };
  if (error.code) return { code: error.code, text: error.message };
  return { code: null, text: error.message };
}

export function problem(error) {
  const { code, text } = words(error);
  return h("div.problem", { role: "alert" }, code === null ? null : [h("code", {}, code), " "], text);
}

export const say = (text, options = {}) => notice("", [text], SHOWN_MS, options);

export function sayProblem(error, options = {}) {
  const { code, text } = words(error);
  notice(".bad", [code === null ? null : [h("code", {}, code), " "], text], PROBLEM_SHOWN_MS, options);
}

/** A notice with a `key` takes the place of the one before it with that key; one that `stays` waits for its successor. */
function notice(kind, content, shown_ms, { key = null, stays = false }) {
  const box = document.querySelector(".notices") ?? document.body.appendChild(h("div.notices"));
  for (const each of [...box.children]) if (key !== null && each.dataset.key === key) each.remove();
  while (box.children.length >= MOST) box.firstElementChild.remove();
  const element = h(`div.notice${kind}`, { role: kind ? "alert" : "status", "data-key": key }, h("span", {}, content),
    h("button.button.quiet.icon.small", { "aria-label": t("dismiss"), onclick: () => element.remove() }, icon("close")));
  box.append(element);
  if (!stays) setTimeout(() => element.remove(), shown_ms);
}
