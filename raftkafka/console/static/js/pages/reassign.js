// Reassignment: choose, generate, look at what would move, run, watch, cancel.

import { brokerIds, button, card, check, field, head, meter, topicLink } from "../components/parts.js";
import { bytes, bytesRate, number, percent } from "../format.js";
import { del, get, post } from "../api.js";
import { h, put } from "../dom.js";
import { problem, say } from "../components/notice.js";
import { Table } from "../components/table.js";
import { allTopics } from "./topics.js";
import { keepFresh } from "../fresh.js";
import { openDialog } from "../components/dialog.js";
import { t } from "../i18n/texts.js";

const WATCH_MS = 1_000;

export async function open({ root, query, signal, title }) {
  title(t("nav.reassign"));
  const [{ topics }, cluster] = await Promise.all([allTopics({}, signal), get("/cluster", {}, signal)]);
  const asked = new Set((query.topics ?? "").split(",").filter(Boolean));
  const running = new Table({ label: t("reassign.running"), key: (row) => `${row.topic}-${row.partition}`, columns: runningColumns((row) => cancel([row])), short: true, empty: t("reassign.idle") });
  const stop = button(t("reassign.cancel_all"), () => openDialog({ title: t("reassign.cancel_all"), body: h("p", {}, t("reassign.cancel.text")), actions: [{ label: t("reassign.cancel_all"), kind: "danger primary", run: () => cancel(null) }] }), { kind: "danger small" });
  const free = button(t("reassign.unlimit"), () => unlimit(), { kind: "small", hidden: true });
  const note = h("span");
  const line = await keepFresh(signal, async () => {
    const { partitions, throttle_bytes_per_s: limit } = await get("/reassignments", {}, signal);
    running.setRows(partitions);
    stop.hidden = partitions.length === 0;
    const sum = (name) => partitions.reduce((total, each) => total + (each[name] ?? 0), 0);
    put(note, partitions.length ? t("reassign.progress", { count: partitions.length, done: bytes(sum("bytes_done")), total: bytes(sum("bytes_total")) }) : null,
      limit === null ? null : `${partitions.length ? " · " : ""}${t("reassign.limited", { rate: bytesRate(limit) })}`);
    free.hidden = limit === null || partitions.length > 0;
  }, { every_ms: WATCH_MS });
  async function cancel(rows) {
    try {
      const { cancelled } = await del("/reassignments", { partitions: rows && rows.map(({ topic, partition }) => ({ topic, partition })) });
      say(t("reassign.cancelled", { count: cancelled }));
    } finally {
      line.refresh();
    }
  }
  async function unlimit() {
    try {
      await del("/reassignments/throttle", {});
    } finally {
      line.refresh();
    }
  }
  put(root, head(t("nav.reassign")), line, card(t("reassign.running"), running.element, { inside: false, note, actions: [free, stop] }),
    planner({ topics, brokers: cluster.brokers, asked, onRun: () => line.refresh() }));
}

function planner({ topics, brokers, asked, onRun }) {
  const pickTopics = picker(topics.map(({ name }) => [name, name]), asked);
  const pickBrokers = picker(brokers.map(({ id, host, port }) => [id, `${id} · ${host}:${port}`]), new Set(brokers.filter(({ state }) => state === "online").map(({ id }) => id)));
  const result = h("div.maybe");
  const line = h("div.maybe");
  const generate = button(t("reassign.generate"), async () => {
    generate.disabled = true;
    put(line);
    try {
      const plan = await post("/reassignments/plan", { topics: pickTopics.chosen(), brokers: pickBrokers.chosen() });
      put(result, preview(plan, onRun, () => put(result)));
    } catch (error) {
      put(line, problem(error));
    } finally {
      generate.disabled = false;
    }
  }, { kind: "primary" });
  return card(t("reassign.plan"), h("div.stack", {}, h("p.muted", {}, t("reassign.text")), h("div.columns", {},
    h("div.field", {}, h("span.label", {}, t("nav.topics")), pickTopics.element),
    h("div.field", {}, h("span.label", {}, t("reassign.brokers")), pickBrokers.element)), h("div.bar", {}, generate), line, result));
}

function picker(entries, chosen) {
  const picked = new Set(chosen);
  const boxes = entries.map(([value, text]) => check(text, { checked: picked.has(value), "data-value": value, onchange: (event) => (event.target.checked ? picked.add(value) : picked.delete(value)) }));
  const list = h("div.pick", { tabindex: "-1" }, boxes);
  const filter = h("input.input.tight", { type: "search", placeholder: t("filter"), "aria-label": t("filter"), oninput: (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    boxes.forEach((box, index) => {
      box.hidden = !entries[index][1].toLowerCase().includes(wanted);
    });
  } });
  return { element: h("div.stack", {}, entries.length > 8 ? filter : null, list), chosen: () => entries.map(([value]) => value).filter((value) => picked.has(value)) };
}

/** What the plan would do; the wanted replicas can be typed over. */
function preview(plan, onRun, onDone) {
  const moving = plan.assignments.filter(({ before, after }) => before.join() !== after.join());
  if (!moving.length) return h("p.verdict", {}, t("reassign.nothing"));
  const wanted = new Map(moving.map((each) => [`${each.topic}-${each.partition}`, each.after]));
  const table = new Table({ label: t("reassign.preview"), key: (row) => `${row.topic}-${row.partition}`, columns: [
    { name: "topic", title: t("topic"), width: "minmax(90px, 1.6fr)", show: (row) => topicLink(row.topic), sort: (row) => row.topic },
    { name: "partition", title: t("partition.short"), right: true, width: "34px", show: (row) => number(row.partition), sort: (row) => row.partition },
    { name: "before", title: t("reassign.before"), wide: true, width: "minmax(90px, 1fr)", show: (row) => brokerIds(row.before) },
    { name: "after", title: t("reassign.after"), width: "minmax(80px, 1fr)", show: (row) => h("input.input.tight.mono", { value: row.after.join(", "), "aria-label": t("reassign.after.of", { name: `${row.topic}-${row.partition}` }), pattern: "\\s*\\d+(\\s*,\\s*\\d+)*\\s*", oninput: (event) => wanted.set(`${row.topic}-${row.partition}`, event.target.value.split(",").map((each) => Number(each.trim()))) }) },
    { name: "bytes", title: t("reassign.bytes"), right: true, width: "90px", show: (row) => bytes(row.bytes_to_move), sort: (row) => row.bytes_to_move },
  ], short: true });
  table.setRows(moving);
  const throttle = field(t("reassign.throttle"), { type: "number", min: "0", placeholder: t("reassign.no_throttle") });
  const line = h("div");
  const run = button(t("reassign.run"), async () => {
    run.disabled = true;
    put(line);
    try {
      const assignments = moving.map(({ topic, partition }) => ({ topic, partition, replicas: wanted.get(`${topic}-${partition}`) }));
      await post("/reassignments", { assignments, throttle_bytes_per_s: throttle.input.value === "" ? null : Math.round(Number(throttle.input.value) * 1024 * 1024) });
      say(t("reassign.started", { count: assignments.length }));
      onRun();
      onDone();
    } catch (error) {
      put(line, problem(error));
      run.disabled = false;
    }
  }, { kind: "primary" });
  return h("div.stack", { "data-part": "preview" }, h("h3", {}, t("reassign.preview.note", { count: moving.length, bytes: bytes(plan.bytes_to_move) })), h("div.card", {}, table.element), h("div.fields", {}, throttle), line, h("div.bar", {}, run));
}

function progress(row) {
  const done = row.bytes_done ?? 0;
  const total = row.bytes_total ?? 0;
  const label = t("share.of", { used: bytes(row.bytes_done), whole: bytes(row.bytes_total) });
  return h("span.progress", {}, meter(done, total, { label }), h("span.num", {}, total > 0 ? percent(done / total) : "–"));
}

function runningColumns(cancel) {
  return [
    { name: "topic", title: t("topic"), width: "minmax(90px, 1.4fr)", show: (row) => topicLink(row.topic) },
    { name: "partition", title: t("partition.short"), right: true, width: "34px", show: (row) => number(row.partition) },
    { name: "adding", title: t("reassign.adding"), width: "minmax(60px, .8fr)", show: (row) => brokerIds(row.adding) },
    { name: "removing", title: t("reassign.removing"), wide: true, width: "minmax(60px, .8fr)", show: (row) => brokerIds(row.removing) },
    { name: "progress", title: t("reassign.done"), wide: true, width: "minmax(90px, 1.4fr)", show: progress },
    { name: "cancel", title: "", width: "78px", right: true, show: (row) => button(t("cancel"), () => cancel(row), { kind: "small", "aria-label": t("reassign.cancel.one", { name: `${row.topic}-${row.partition}` }) }) },
  ];
}
