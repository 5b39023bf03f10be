// The timeline: a slider over the metadata log. Who led what at that moment, since when, and why.

import { button, card, head, searchField, topicLink } from "../components/parts.js";
import { duration, number, time } from "../format.js";
import { get, segment } from "../api.js";
import { go, remember } from "../router.js";
import { h, put } from "../dom.js";
import { Table } from "../components/table.js";
import { causeText, thenText } from "../components/causes.js";
import { colour } from "../components/chart.js";
import { keepFresh } from "../fresh.js";
import { problem } from "../components/notice.js";
import { t } from "../i18n/texts.js";

const LIMIT = 500;
const PLAY_MS = 700; // per event
const NEAR = 6; // events told before and after the moment
const STEPS = 10_000; // of the slider

export async function open({ root, query, signal, title }) {
  title(t("nav.timeline"));
  let topic = query.topic ?? "";
  let line_ = { first_ms: 0, last_ms: 0, events: [] };
  let at = Number(query.at) || null; // null: the present, which moves on
  let looking = new AbortController();
  let playing = 0;
  const failure = h("div");
  const moment = h("span.moment", { role: "status" });
  const ticks = h("canvas", { "aria-hidden": "true", onclick: (event) => moveTo(timeAt(event.offsetX / ticks.clientWidth)) });
  const slider = h("input", { type: "range", min: "0", max: String(STEPS), step: "1", "aria-label": t("timeline.slider"),
    oninput: () => moveTo(Number(slider.value) === STEPS ? null : timeAt(Number(slider.value) / STEPS)), onkeydown: onKey });
  const ends = h("div.ends");
  const story = h("ol.story");
  const table = new Table({ label: t("timeline.state"), key: (row) => `${row.topic}-${row.partition}`, columns: columns(), empty: t("timeline.nothing"), onOpen: (row) => go(`/topics/${segment(row.topic)}`) });
  const play = button(t("timeline.play"), () => (playing ? stop() : start()), { "aria-pressed": "false" });
  const now = button(t("timeline.now"), () => moveTo(null));
  signal.addEventListener("abort", () => {
    stop();
    looking.abort();
  });
  addEventListener("theme", draw, { signal });
  new ResizeObserver(draw).observe(ticks);

  const line = await keepFresh(signal, async () => {
    line_ = await get("/timeline", { topic, limit: LIMIT }, signal);
    await look();
  });

  const span = () => Math.max(1, line_.last_ms - line_.first_ms);
  function timeAt(share) {
    return Math.round(line_.first_ms + share * span());
  }

  function moveTo(ms) {
    at = ms === null || ms >= line_.last_ms ? null : Math.max(line_.first_ms, ms);
    remember({ topic, at });
    clearTimeout(moveTo.timer);
    moveTo.timer = setTimeout(() => look().catch((error) => error.name !== "AbortError" && put(failure, problem(error))), 60);
    showMoment();
    draw();
  }

  /** The state at the moment; an answer to an older question does not count any more. */
  async function look() {
    looking.abort();
    looking = new AbortController();
    const { partitions } = await get("/timeline/state", { at_ms: at ?? line_.last_ms, topic }, looking.signal);
    put(failure);
    table.setRows(partitions.map((each) => ({ ...each, ago_ms: each.since_ms === null ? null : (at ?? line_.last_ms) - each.since_ms })));
    showMoment();
    tell();
    draw();
  }

  function showMoment() {
    const ms = at ?? line_.last_ms;
    put(moment, time(ms), at === null ? h("span.small.muted", {}, ` ${t("timeline.present")}`) : null);
    slider.value = String(at === null ? STEPS : Math.round(((ms - line_.first_ms) / span()) * STEPS));
    slider.setAttribute("aria-valuetext", time(ms));
    put(ends, h("span", {}, time(line_.first_ms)), h("span.count", {}, t("timeline.events", { count: line_.events.length })), h("span", {}, time(line_.last_ms)));
  }

  /** The events around the moment, the last one before it marked. */
  function tell() {
    const ms = at ?? line_.last_ms;
    const after = line_.events.findIndex((each) => each.time_ms > ms);
    const here = after === -1 ? line_.events.length : after;
    const near = line_.events.slice(Math.max(0, here - NEAR), here + NEAR);
    const current = line_.events[here - 1];
    put(story, near.length ? near.toReversed().map((each) => h("li", { class: each === current ? "now" : "" }, h("div", {},
      h("time", {}, time(each.time_ms)), h("div", {}, h("b", {}, `${each.topic}-${each.partition}`), ` ${causeText(each)}: ${thenText(each)}`)))) : h("li", {}, t("timeline.nothing")));
  }

  function draw() {
    const width = ticks.clientWidth;
    const height = ticks.clientHeight;
    if (!ticks.isConnected || !width) return;
    const ratio = devicePixelRatio || 1;
    ticks.width = Math.round(width * ratio);
    ticks.height = Math.round(height * ratio);
    const pen = ticks.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const buckets = new Map();
    for (const each of line_.events) {
      const x = Math.round(((each.time_ms - line_.first_ms) / span()) * (width - 4) / 3);
      buckets.set(x, (buckets.get(x) ?? 0) + 1);
    }
    const most = Math.max(1, ...buckets.values());
    pen.fillStyle = colour(ticks, "--series-1");
    for (const [x, count] of buckets) {
      const tall = 8 + (height - 12) * (Math.log1p(count) / Math.log1p(most));
      pen.fillRect(x * 3 + 1, height - tall, 2, tall);
    }
    pen.fillStyle = colour(ticks, "--bad");
    pen.fillRect(((at ?? line_.last_ms) - line_.first_ms) / span() * (width - 2), 0, 2, height);
  }

  /** Left and right go from event to event: what lies between is the same everywhere. */
  function onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    moveTo(neighbour(step));
  }

  function neighbour(step) {
    const ms = at ?? line_.last_ms;
    if (step < 0) return line_.events.findLast((each) => each.time_ms < ms)?.time_ms ?? line_.first_ms;
    return line_.events.find((each) => each.time_ms > ms)?.time_ms ?? null;
  }

  function start() {
    if (at === null) moveTo(line_.first_ms);
    play.setAttribute("aria-pressed", "true");
    put(play, t("timeline.pause"));
    playing = setInterval(() => {
      moveTo(neighbour(1));
      if (at === null) stop();
    }, PLAY_MS);
  }

  function stop() {
    clearInterval(playing);
    playing = 0;
    play.setAttribute("aria-pressed", "false");
    put(play, t("timeline.play"));
  }

  put(root, head(t("nav.timeline")), line, failure,
    card(t("timeline.when"), h("div.time", {}, h("div.bar", {}, moment, h("div.bar.end", {}, button("←", () => moveTo(neighbour(-1)), { "aria-label": t("timeline.back") }), button("→", () => moveTo(neighbour(1)), { "aria-label": t("timeline.on") }), play, now)), ticks, slider, ends),
      { actions: [searchField(t("timeline.topic"), (text) => {
        topic = text.trim();
        remember({ topic, at });
        line.refresh();
      }, { value: topic, rest_ms: 400 })] }),
    h("div.columns.wide-first", {}, card(t("timeline.state"), table.element, { inside: false }), card(t("timeline.story"), story)));
}

function columns() {
  return [
    { name: "topic", title: t("topic"), width: "minmax(84px, 1.4fr)", show: (row) => topicLink(row.topic), sort: (row) => row.topic },
    { name: "partition", title: t("partition.short"), right: true, width: "30px", show: (row) => number(row.partition), sort: (row) => row.partition },
    { name: "leader", title: t("leader"), right: true, width: "62px", show: (row) => (row.leader > 0 ? String(row.leader) : h("span.bad", {}, t("none"))), sort: (row) => row.leader },
    { name: "isr", title: t("isr"), width: "minmax(52px, .6fr)", show: (row) => row.isr.join(", "), sort: (row) => row.isr.length },
    { name: "since", title: t("since"), wide: true, width: "78px", right: true, show: (row) => (row.ago_ms === null ? "–" : duration(row.ago_ms)), sort: (row) => row.ago_ms },
    { name: "why", title: t("why"), wide: true, width: "minmax(90px, 2fr)", show: (row) => h("span", { title: causeText(row) }, causeText(row)) },
  ];
}
