// From #/topics/orders?tab=configs to a page. A page is a module with `open(view)`; the view ends when another opens.

import { h, put } from "./dom.js";
import { t } from "./i18n/texts.js";
import { problem } from "./components/notice.js";

/** Pattern, the module that shows it, and the entry of the navigation that it belongs to. */
const ROUTES = [
  ["/", () => import("./pages/overview.js"), "overview"],
  ["/brokers", () => import("./pages/brokers.js"), "brokers"],
  ["/brokers/:id", () => import("./pages/broker.js"), "brokers"],
  ["/topics", () => import("./pages/topics.js"), "topics"],
  ["/topics/:topic", () => import("./pages/topic.js"), "topics"],
  ["/map", () => import("./pages/map.js"), "map"],
  ["/groups", () => import("./pages/groups.js"), "groups"],
  ["/groups/:group", () => import("./pages/group.js"), "groups"],
  ["/reassign", () => import("./pages/reassign.js"), "reassign"],
  ["/election", () => import("./pages/election.js"), "election"],
  ["/messages", () => import("./pages/messages.js"), "messages"],
  ["/timeline", () => import("./pages/timeline.js"), "timeline"],
  ["/login", () => import("./pages/login.js"), null],
];

let leaving = new AbortController();
let shown = { main: null, onShow: () => {} };

export function startRouter(main, onShow) {
  shown = { main, onShow };
  addEventListener("hashchange", () => show());
  return show();
}

/** The page again, with other texts or after a login. */
export const reopen = () => show();

export function go(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const hash = `#${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
  if (location.hash === hash) return show();
  location.hash = hash;
  return undefined;
}

/** Changes what follows the `?` without opening the page anew: a reload or a link shows the same. */
export function remember(query) {
  const { path } = parse(location.hash);
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  history.replaceState(null, "", `#${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`);
}

export const current = () => parse(location.hash).path;

function parse(hash) {
  const [path, query = ""] = (hash.replace(/^#/, "") || "/").split("?", 2);
  return { path, query: Object.fromEntries(new URLSearchParams(query)) };
}

function match(path) {
  const parts = path.split("/");
  for (const [pattern, load, entry] of ROUTES) {
    const wanted = pattern.split("/");
    if (wanted.length !== parts.length) continue;
    const params = {};
    const fits = wanted.every((each, index) => {
      if (!each.startsWith(":")) return each === parts[index];
      params[each.slice(1)] = decoded(parts[index]);
      return parts[index] !== "";
    });
    if (fits) return { load, entry, params };
  }
  return null;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray % in a typed address: the node will say that there is no such thing
  }
}

async function show() {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const { path, query } = parse(location.hash);
  const found = match(path);
  shown.onShow(found?.entry ?? null);
  const root = h("div.page");
  const view = { root, query, params: found?.params ?? {}, signal, title: (text) => !signal.aborted && (document.title = `${text} · raftkafka`) };
  // The old page stays until the new one has its answers: no flash of emptiness between two pages.
  const patience = setTimeout(() => put(shown.main, h("div.loading", {}, t("loading"))), 300);
  try {
    if (found === null) throw new Error(t("router.nothing", { path }));
    await (await found.load()).open(view);
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    put(root, h("div.head", {}, h("h1", {}, t("router.failed"))), problem(error), h("div.bar", {}, h("button.button", { onclick: () => show() }, t("again"))));
  } finally {
    clearTimeout(patience);
  }
  if (signal.aborted) return;
  put(shown.main, root);
  shown.main.dataset.path = path;
  scrollTo(0, 0);
  if (!document.activeElement || document.activeElement === document.body) shown.main.focus({ preventScroll: true });
}
