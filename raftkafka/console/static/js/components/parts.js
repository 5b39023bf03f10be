// Small things that many pages show: headings, tiles, replicas, meters, fields.

import { h } from "../dom.js";
import { bytes, number } from "../format.js";
import { segment } from "../api.js";
import { t } from "../i18n/texts.js";

export const topicPath = (topic) => `#/topics/${segment(topic)}`;
export const groupPath = (group) => `#/groups/${segment(group)}`;
export const topicLink = (topic) => h("a", { href: topicPath(topic) }, topic);

/** `trail`: [[text, path], ...] above the heading. */
export function head(title, { trail = [], actions = [], mono = false } = {}) {
  return h("div.head", {},
    trail.length ? h("div.trail", {}, trail.map(([text, path]) => [h("a", { href: `#${path}` }, text), " / "])) : null,
    h("h1", { class: mono ? "mono" : "" }, title),
    h("div.bar.end", {}, actions));
}

export const button = (label, onclick, { kind = "", ...more } = {}) => h("button.button", { type: "button", class: kind, onclick, ...more }, label);

export function card(title, content, { actions = [], note = null, inside = true, id = undefined } = {}) {
  return h("section.card", { id, "aria-label": title }, h("header", {}, h("h2", {}, title), note === null ? null : h("span.small.muted", {}, note), h("div.bar.end", {}, actions)),
    inside ? h("div.inside", {}, content) : content);
}

/** A number with its name; `kind` is good, warn or bad. */
export function tile(name, value, { kind = "", href = undefined } = {}) {
  return h(href ? "a.tile" : "div.tile", { class: kind, href, "data-tile": name }, h("b", {}, value), h("span", {}, name));
}

export const pill = (text, kind = "") => h("span.pill", { class: kind }, text);

const STATES = { online: "good", fenced: "warn", offline: "bad" };
export const brokerState = (state) => pill(t(`broker.${state}`), STATES[state]);

/** The replicas of a partition in their order: filled leads, outlined is in sync, dashed is not. */
export function replicas({ replicas: ids, leader, isr, adding = [] }) {
  return h("span.replicas", {}, ids.map((id) => {
    const state = id === leader ? "leads" : adding.includes(id) && !isr.includes(id) ? "arriving" : isr.includes(id) ? "in-sync" : "behind";
    return h("span.replica", { class: state, title: t(`replica.${state}`, { id }) }, String(id));
  }));
}

export const brokerIds = (ids) => h("span.replicas", {}, ids.map((id) => h("span.replica", {}, String(id))));

/** `part` of `whole` as a bar with its words for those who do not see it. */
export function meter(part, whole, { label, over = false }) {
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  return h("span.meter", { role: "img", "aria-label": label, title: label }, h("i", { class: over ? "over" : "", style: { width: `${(share * 100).toFixed(1)}%` } }));
}

let ids = 0;

/** A labelled input, select or textarea; `.input` is the control. */
export function field(label, { type = "text", value = "", options = null, hint = null, mono = false, oninput = undefined, onchange = undefined, ...more } = {}) {
  ids += 1;
  const id = `field-${ids}`;
  const shared = { id, oninput, onchange, class: mono ? "mono" : "", ...more };
  let input;
  if (options !== null) {
    input = h("select.input", shared, options.map(([key, text]) => h("option", { value: key, selected: String(key) === String(value) }, text)));
  } else if (type === "textarea") {
    input = h("textarea.input", { spellcheck: "false", ...shared }, value);
  } else {
    input = h("input.input", { type, autocomplete: "off", spellcheck: "false", ...shared, value });
  }
  const element = h("div.field", {}, h("label", { for: id }, label), input, hint === null ? null : h("span.hint", {}, hint));
  element.input = input;
  return element;
}

export function check(label, { checked = false, onchange = undefined, ...more } = {}) {
  const input = h("input", { type: "checkbox", checked, onchange, ...more });
  const element = h("label.check", {}, input, label);
  element.input = input;
  return element;
}

/** A search field that the key `/` finds; `act` runs when typing rests for a moment. */
export function searchField(label, act, { value = "", rest_ms = 150 } = {}) {
  let timer = 0;
  return h("input.input", {
    type: "search", value, placeholder: label, "aria-label": label, "data-search": true, autocomplete: "off", spellcheck: "false",
    oninput: (event) => {
      clearTimeout(timer);
      timer = setTimeout(() => act(event.target.value), rest_ms);
    },
    onkeydown: (event) => {
      if (event.key === "Escape" && event.target.value === "") event.target.blur();
    },
  });
}

/** `tabs`: [[key, label, build]]; what a tab shows is built when it is first opened. */
export function tabs(entries, { chosen, onChoose }) {
  const built = new Map();
  const panel = h("div", { role: "tabpanel" });
  const bar = h("div.tabs", { role: "tablist" }, entries.map(([key, label]) =>
    h("button", { type: "button", role: "tab", "data-tab": key, onclick: () => choose(key, true) }, label)));
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    const keys = entries.map(([key]) => key);
    const next = keys[(keys.indexOf(current) + step + keys.length) % keys.length];
    choose(next, true);
    bar.querySelector(`[data-tab="${next}"]`).focus();
  });
  let current = null;
  function choose(key, told) {
    current = key;
    for (const each of bar.children) {
      const here = each.dataset.tab === key;
      each.setAttribute("aria-selected", String(here));
      each.tabIndex = here ? 0 : -1;
    }
    if (!built.has(key)) built.set(key, entries.find(([each]) => each === key)[2]());
    panel.replaceChildren(built.get(key));
    if (told) onChoose(key);
  }
  choose(entries.some(([key]) => key === chosen) ? chosen : entries[0][0], false);
  return h("div", {}, bar, panel);
}

export const sizeTile = (name, value) => tile(name, bytes(value));
export const countTile = (name, value, options = {}) => tile(name, number(value), options);
