// Server-sent events of this node: one stream for all pages, opened again by itself, closed while nobody looks.
//
// Events: those of the node ("stats", "metadata", "lag"), and "link" with true or false when the stream comes or goes.

import { url } from "./api.js";

const KEPT = 300; // five minutes of `stats`: charts do not start empty after a change of page
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
const NAMES = ["stats", "metadata", "lag"];

const target = new EventTarget();
const history = { stats: [], lag: [] };
let source = null;
let timer = 0;
let wait = FIRST_WAIT_MS;
let live = null;

export const isLive = () => live;
export const past = (name) => history[name];

/** Calls `act(value)` for each event until `signal` is aborted. */
export function on(name, act, signal) {
  target.addEventListener(name, (event) => act(event.detail), { signal });
}

export function startEvents() {
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : connect()));
  connect();
}

function connect() {
  if (source !== null || document.hidden) return;
  clearTimeout(timer);
  source = new EventSource(url("/events"));
  source.addEventListener("open", () => {
    wait = FIRST_WAIT_MS;
    setLive(true);
  });
  // The browser's own retry gives up on some answers (a node that starts answers 503): this one does not.
  source.addEventListener("error", () => {
    stop();
    setLive(false);
    timer = setTimeout(connect, wait);
    wait = Math.min(LONGEST_WAIT_MS, wait * 2);
  });
  for (const name of NAMES) source.addEventListener(name, (event) => emit(name, JSON.parse(event.data)));
}

function stop() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

function emit(name, detail) {
  const kept = history[name];
  if (kept) {
    kept.push(detail);
    if (kept.length > KEPT) kept.shift();
  }
  target.dispatchEvent(new CustomEvent(name, { detail }));
}

function setLive(value) {
  if (live === value) return;
  live = value;
  target.dispatchEvent(new CustomEvent("link", { detail: value }));
}

addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => event.persisted && connect());
