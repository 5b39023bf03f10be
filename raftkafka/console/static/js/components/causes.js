// Why something happened to a partition, in the language of the page: the causes are those of `rk why --json`.

import { LANGUAGES, language, t } from "../i18n/texts.js";

/** `text` is the node's own sentence: for causes that a newer node knows and this page does not. */
export function causeText({ cause, node_id: node, text = t("cause.unknown") }) {
  return `cause.${cause}` in LANGUAGES[language()] ? t(`cause.${cause}`, { node }) : text;
}

export function thenText({ leader, isr }) {
  const known = { leader, isr: isr.length ? isr.join(", ") : "–" };
  return t(leader > 0 ? "then.leads" : "then.nobody", known);
}
