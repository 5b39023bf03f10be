// The start: who am I talking to, then the frame, the pages, and the stream of events.

import { onUnauthorized, openSession, session } from "./api.js";
import { drawShell, markEntry, watchLink } from "./shell.js";
import { current, go, startRouter } from "./router.js";
import { sayProblem } from "./components/notice.js";
import { startEvents } from "./events.js";
import { startKeyboard } from "./keyboard.js";

const RETRY_MS = 1_000;

async function start() {
  onUnauthorized(() => {
    if (current() !== "/login") go("/login", { back: location.hash.slice(1) });
  });
  try {
    await openSession();
  } catch (error) {
    if (error.status !== 401) {
      drawShell();
      sayProblem(error, { key: "link", stays: true });
      setTimeout(start, RETRY_MS);
      return;
    }
  }
  const main = drawShell();
  startKeyboard();
  watchLink();
  if (session.login_required && session.user === null && current() !== "/login") {
    history.replaceState(null, "", `#/login?back=${encodeURIComponent(location.hash.slice(1) || "/")}`);
  }
  const shown = startRouter(main, markEntry);
  if (!session.login_required || session.user !== null) startEvents();
  await shown;
  performance.mark("raftkafka.shown");
}

start();
