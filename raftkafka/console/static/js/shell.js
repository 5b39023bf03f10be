// The frame around the pages: bar, navigation, switches, and the line about a lost connection.

import { h, icon, put } from "./dom.js";
import { language, t } from "./i18n/texts.js";
import { nextTheme, setLanguage, theme } from "./switches.js";
import { isLive, on } from "./events.js";
import { post, session } from "./api.js";
import { reopen } from "./router.js";
import { say, sayProblem } from "./components/notice.js";
import { showKeys } from "./keyboard.js";

const NAV = [
  ["nav.look", [["overview", "/"], ["brokers", "/brokers"], ["topics", "/topics"], ["map", "/map"], ["groups", "/groups"]]],
  ["nav.records", [["messages", "/messages"]]],
  ["nav.move", [["reassign", "/reassign"], ["election", "/election"]]],
  ["nav.past", [["timeline", "/timeline"]]],
];

let entry = null;
let changing = new AbortController();
const main = h("main.main", { id: "main", tabindex: "-1" });

/** Draws the frame; again after a change of language. */
export function drawShell() {
  changing.abort();
  changing = new AbortController();
  const nav = h("nav.nav", { id: "nav", "aria-label": t("nav.label") }, NAV.map(([heading, entries]) => [
    h("h2", {}, t(heading)),
    entries.map(([name, path]) => h("a", { href: `#${path}`, "data-entry": name }, icon(name), t(`nav.${name}`))),
  ]), h("div.nav-foot", {}, session.version === null ? null : t("nav.foot", { version: session.version, node: session.node_id })));
  const toggle = h("button.button.quiet.icon.nav-toggle", { "aria-label": t("nav.label"), "aria-controls": "nav", "aria-expanded": "false", onclick: () => open(!nav.classList.contains("open")) }, icon("menu"));
  function open(wanted) {
    nav.classList.toggle("open", wanted);
    toggle.setAttribute("aria-expanded", String(wanted));
  }
  nav.addEventListener("click", () => open(false));
  nav.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      open(false);
      toggle.focus();
    }
  });
  const link = h("span.link-state", { role: "status" });
  const bar = h("header.topbar", {},
    toggle,
    h("a.brand", { href: "#/" }, h("img", { src: "icon.svg", alt: "", width: "22", height: "22" }), "raftkafka"),
    h("div.whereabouts", {}, h("span.cluster-id.mono", { title: session.cluster_id ?? "" }, session.cluster_id ?? ""), link),
    h("span.spacer"),
    session.login_required && session.user !== null ? h("button.button.quiet", { onclick: logout }, t("logout")) : null,
    h("button.button.quiet", { id: "language", lang: language() === "en" ? "ko" : "en", onclick: switchLanguage }, language() === "en" ? "한국어" : "English"),
    themeButton(),
    h("button.button.quiet.icon", { "aria-label": t("keys.title"), title: `${t("keys.title")} (?)`, onclick: showKeys }, icon("help")));
  put(document.getElementById("app"), h("a.skip", { href: "#main", onclick: skip }, t("skip")), bar, nav, main);
  showLink(link, isLive());
  on("link", (live) => showLink(link, live), changing.signal);
  markEntry(entry);
  return main;
}

function skip(event) {
  event.preventDefault(); // the hash belongs to the router
  main.focus();
}

function themeButton() {
  const name = () => t(`theme.${theme()}`);
  const button = h("button.button.quiet.icon", { id: "theme", "aria-label": name(), title: name(), onclick: () => {
    nextTheme();
    button.setAttribute("aria-label", name());
    button.title = name();
  } }, icon("theme"));
  return button;
}

function switchLanguage() {
  setLanguage(language() === "en" ? "ko" : "en");
  drawShell();
  reopen();
  document.getElementById("language").focus();
}

export function markEntry(name) {
  entry = name;
  for (const each of document.querySelectorAll(".nav a")) {
    if (each.dataset.entry === name) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
}

function showLink(element, live) {
  element.classList.toggle("live", live === true);
  element.classList.toggle("lost", live === false);
  put(element, h("span.words", {}, t(live === null ? "link.opening" : live ? "link.live" : "link.lost")));
}

/** Says that the node is gone, until it is back. */
export function watchLink() {
  let lost = false;
  on("link", (live) => {
    if (!live && !lost) sayProblem(t("link.lost.long"), { key: "link", stays: true });
    if (live && lost) say(t("link.back"), { key: "link" });
    lost = !live;
  });
}

async function logout() {
  await post("/logout");
  location.reload();
}
