// The texts of the console. The language is the switch's, else the browser's; boot.js has put it on <html lang>.

import en from "./en.js";
import ko from "./ko.js";

export const LANGUAGES = { en, ko };

export const language = () => document.documentElement.lang;

/** `{name}` in a text is replaced by `values.name`; a text with forms is chosen by `values.count`. */
export function t(key, values = {}) {
  const text = LANGUAGES[language()][key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  const form = typeof text === "string" ? text : text[new Intl.PluralRules(language()).select(values.count)] ?? text.other;
  return form.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
