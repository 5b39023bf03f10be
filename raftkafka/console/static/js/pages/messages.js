// The message browser: by offset, time or key, with a search, page after page or live; and the way to write one.

import { button, card, check, field, head } from "../components/parts.js";
import { bytes, number, time } from "../format.js";
import { get, segment, url } from "../api.js";
import { h, put } from "../dom.js";
import { problem, sayProblem } from "../components/notice.js";
import { preview, showMessage } from "../components/message.js";
import { Table } from "../components/table.js";
import { allTopics } from "./topics.js";
import { localMoment } from "../components/reset.js";
import { produce } from "../components/produce.js";
import { remember } from "../router.js";
import { t } from "../i18n/texts.js";

const LIMIT = 100;
const MOST_ROWS = 5_000; // following for a day must not fill the memory of the browser
const FROM = ["newest", "earliest", "offset", "timestamp"];
const PLACES = ["key", "value", "headers"];

export async function open({ root, query, signal, title }) {
  title(t("nav.messages"));
  const form = searchForm(query, () => (follow.on ? start() : search()));
  const table = new Table({ label: t("nav.messages"), key: (row) => `${row.partition}-${row.offset}`, columns: columns(), empty: t("messages.none"), onOpen: (row) => showMessage(form.topic(), row) });
  const line = h("div");
  const note = h("span", { role: "status" });
  const more = button(t("messages.more"), () => search(state.next), { hidden: true });
  const state = { rows: [], next: null, scanned: 0, topic: null };
  const follow = { on: false, source: null, skipped: 0, pending: [], button: button(t("messages.follow"), () => (follow.on ? stop() : start()), { "aria-pressed": "false" }) };
  let running = new AbortController();
  signal.addEventListener("abort", () => {
    running.abort();
    follow.source?.close();
  });

  /** The first page, or with `next` the page after what is shown. */
  async function search(next = null) {
    if (follow.on) stop();
    running.abort();
    running = new AbortController();
    const { signal: mine } = running;
    if (form.topic() === "") return;
    form.remember();
    put(line);
    put(note, t("messages.searching"));
    more.hidden = true;
    try {
      const asked = form.query();
      if (next !== null) asked.from = `next:${Object.entries(next).map(([partition, offset]) => `${partition}:${offset}`).join(",")}`;
      const page = await get(`/topics/${segment(form.topic())}/messages`, { ...asked, limit: LIMIT }, mine);
      state.rows = next === null ? page.messages : [...state.rows, ...page.messages].slice(-MOST_ROWS);
      state.scanned = (next === null ? 0 : state.scanned) + page.scanned;
      state.next = page.next;
      table.setRows(state.rows);
      more.hidden = page.end_reached;
      put(note, t(page.end_reached ? "messages.found.all" : "messages.found", { count: state.rows.length, shown: number(state.rows.length), scanned: number(state.scanned) }));
    } catch (error) {
      if (error.name === "AbortError") return;
      state.rows = [];
      table.setRows([]);
      put(note);
      put(line, problem(error));
    }
  }

  function start() {
    if (form.topic() === "") return;
    stop();
    form.remember();
    follow.on = true;
    follow.button.setAttribute("aria-pressed", "true");
    state.rows = [];
    table.setRows([]);
    more.hidden = true;
    put(line);
    put(note, t("messages.following"));
    follow.source = new EventSource(url(`/topics/${segment(form.topic())}/follow`, { partition: form.query().partition }));
    follow.source.addEventListener("message", (event) => arrived(JSON.parse(event.data)));
    follow.source.addEventListener("skipped", (event) => {
      follow.skipped += JSON.parse(event.data).count;
      tell();
    });
    follow.source.addEventListener("error", () => {
      if (follow.source?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
      stop();
      sayProblem(t("messages.follow.refused"));
    });
  }

  /** Once per frame, however many come. */
  function arrived(message) {
    if (!form.matches(message)) return;
    if (follow.pending.push(message) > 1) return;
    requestAnimationFrame(() => {
      if (!follow.on) return;
      state.rows = [...follow.pending.reverse(), ...state.rows].slice(0, MOST_ROWS);
      follow.pending = [];
      table.setRows(state.rows);
      tell();
    });
  }

  function tell() {
    put(note, t("messages.followed", { count: state.rows.length }), follow.skipped ? ` · ${t("messages.skipped", { count: number(follow.skipped) })}` : "");
  }

  function stop() {
    follow.source?.close();
    Object.assign(follow, { on: false, source: null, pending: [], skipped: 0 });
    follow.button.setAttribute("aria-pressed", "false");
    put(note);
  }

  put(root, head(t("nav.messages"), { actions: [button(t("produce.action"), async () => {
    try {
      const topic = await get(`/topics/${segment(form.topic())}`, {}, signal);
      produce(form.topic(), topic.partitions.length, () => !follow.on && search());
    } catch (error) {
      if (error.name !== "AbortError") put(line, problem(error));
    }
  }, { kind: "primary", "data-key": "n" })] }), card(t("messages.what"), form.element, { actions: [follow.button] }), line,
  h("div.messages", {}, card(t("nav.messages"), [table.element, h("div.grid-empty", { hidden: false }, more)], { inside: false, note })));
  allTopics({ internal: true }, signal).then(({ topics }) => form.offer(topics.map(({ name }) => name)), () => {});
  if (query.topic) await search();
}

function searchForm(query, onSubmit) {
  const topic = field(t("topic"), { value: query.topic ?? "", mono: true, required: true, list: "message-topics" });
  topic.input.dataset.search = "true";
  const partition = field(t("partition"), { value: query.partition ?? "", placeholder: t("all"), inputmode: "numeric", pattern: "\\s*\\d*\\s*" });
  const from = field(t("messages.from"), { value: query.from ?? "newest", options: FROM.map((each) => [each, t(`messages.from.${each}`)]), onchange: showFields });
  const offset = field(t("offset"), { type: "number", min: "0", value: query.offset ?? "0" });
  const moment = field(t("messages.moment"), { type: "datetime-local", step: "1", value: query.moment ?? localMoment(Date.now() - 3_600_000) });
  const key = field(t("messages.key"), { value: query.key ?? "", mono: true, placeholder: t("messages.any") });
  const text = field(t("messages.search"), { type: "search", value: query.search ?? "", placeholder: t("messages.search.hint") });
  const places = PLACES.map((place) => check(t(`messages.in.${place}`), { checked: (query.in ?? "key,value,headers").split(",").includes(place), value: place }));
  const list = h("datalist", { id: "message-topics" });
  const element = h("form.stack", {
    onsubmit: (event) => {
      event.preventDefault();
      onSubmit();
    },
  }, h("div.fields", {}, topic, partition, from, offset, moment, key, text), list, h("div.bar", {}, places, h("button.button.primary.end", { type: "submit" }, t("messages.read"))));

  function showFields() {
    offset.hidden = from.input.value !== "offset";
    moment.hidden = from.input.value !== "timestamp";
  }
  showFields();

  const chosen = () => places.filter((each) => each.input.checked).map((each) => each.input.value);
  const start = () => ({ newest: "latest", earliest: "earliest", offset: `offset:${offset.input.value || 0}`, timestamp: `timestamp:${new Date(moment.input.value).getTime()}` })[from.input.value];
  return {
    element,
    topic: () => topic.input.value.trim(),
    offer: (names) => put(list, names.slice(0, 1_000).map((name) => h("option", { value: name }))),
    query: () => ({
      partition: partition.input.value.trim() || "all", from: start(), backward: from.input.value === "newest" ? "true" : null,
      key: key.input.value, search: text.input.value, in: text.input.value === "" ? null : chosen().join(","),
    }),
    remember: () => remember({
      topic: topic.input.value.trim(), partition: partition.input.value.trim(), from: from.input.value, offset: offset.hidden ? null : offset.input.value,
      moment: moment.hidden ? null : moment.input.value, key: key.input.value, search: text.input.value, in: text.input.value === "" ? null : chosen().join(","),
    }),
    /** What the node's search does, for messages that come by following: they come unfiltered. */
    matches: (message) => {
      if (key.input.value !== "" && message.key?.text !== key.input.value) return false;
      const wanted = text.input.value;
      const has = (part) => part?.text?.includes(wanted) ?? false;
      const look = { key: () => has(message.key), value: () => has(message.value), headers: () => message.headers.some(([name, value]) => name.includes(wanted) || has(value)) };
      return wanted === "" || chosen().some((place) => look[place]());
    },
  };
}

function columns() {
  return [
    { name: "partition", title: t("partition.short"), right: true, width: "34px", show: (row) => String(row.partition) },
    { name: "offset", title: t("offset"), right: true, width: "minmax(52px, 84px)", show: (row) => number(row.offset) },
    { name: "time", title: t("time"), wide: true, width: "196px", show: (row) => h("span.num", {}, time(row.timestamp_ms)) },
    { name: "key", title: t("key"), mono: true, width: "minmax(60px, 1.2fr)", show: (row) => preview(row.key) },
    { name: "value", title: t("value"), mono: true, width: "minmax(110px, 3fr)", show: (row) => preview(row.value) },
    { name: "headers", title: t("headers"), wide: true, right: true, width: "72px", show: (row) => number(row.headers.length) },
    { name: "size", title: t("size"), wide: true, right: true, width: "80px", show: (row) => bytes(row.value?.size ?? 0) },
  ];
}
