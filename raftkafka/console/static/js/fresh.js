// Keeps what a page shows up to date: when the metadata changes, when the connection is back, and now and then.

import { on } from "./events.js";
import { problem } from "./components/notice.js";
import { put } from "./dom.js";

const LEAST_GAP_MS = 400; // a reassignment of 1,000 partitions is 1,000 changes: one look at them all is enough
const EVERY_MS = 5_000;

/**
 * Awaits `load()` once, so that its failure is the page's; later failures show as one line in the element that it returns.
 * `touches(changedTopics)` says whether a change of these topics (null: of anything) concerns the page.
 */
export async function keepFresh(signal, load, { every_ms = EVERY_MS, touches = () => true } = {}) {
  const line = document.createElement("div");
  let running = false;
  let again = false;
  let last = performance.now();
  let waiting = 0;

  async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    last = performance.now();
    try {
      await load();
      if (!signal.aborted) put(line);
    } catch (error) {
      if (!signal.aborted && error.name !== "AbortError") put(line, problem(error));
    } finally {
      running = false;
    }
    if (again && !signal.aborted) {
      again = false;
      soon();
    }
  }

  function soon() {
    clearTimeout(waiting);
    waiting = setTimeout(run, Math.max(0, LEAST_GAP_MS - (performance.now() - last)));
  }

  await load();
  if (signal.aborted) return line;
  on("metadata", ({ topics }) => touches(topics) && soon(), signal);
  on("link", (live) => live && soon(), signal);
  const tick = setInterval(() => !document.hidden && performance.now() - last > every_ms / 2 && run(), every_ms);
  signal.addEventListener("abort", () => {
    clearInterval(tick);
    clearTimeout(waiting);
  });
  line.refresh = soon;
  return line;
}
