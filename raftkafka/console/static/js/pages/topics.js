// All topics: search, create, and what can be done to several at once.

import { button, card, check, field, head, searchField, topicLink } from "../components/parts.js";
import { get, post, segment } from "../api.js";
import { go, remember } from "../router.js";
import { h, put } from "../dom.js";
import { Table } from "../components/table.js";
import { keepFresh } from "../fresh.js";
import { number } from "../format.js";
import { openDialog } from "../components/dialog.js";
import { say } from "../components/notice.js";
import { t } from "../i18n/texts.js";

const PAGE = 500;
const MOST = 10_000; // a table of more is no longer read, only searched

export async function open({ root, query, signal, title }) {
  title(t("nav.topics"));
  let search = query.search ?? "";
  let internal = query.internal === "true";
  const count = h("span");
  const chosen = h("div.bar");
  const table = new Table({
    label: t("nav.topics"), key: (row) => row.name, columns: columns(), selects: true, sorted: { name: "name", down: false }, empty: t("topics.none"),
    onOpen: (row) => go(`/topics/${segment(row.name)}`),
    onSelect: (rows) => put(chosen, rows.length ? [h("span.small.muted", {}, t("selected", { count: rows.length })), ...bulk(rows.map(({ name }) => name))] : null),
  });
  const line = await keepFresh(signal, async () => {
    const asked = search;
    const found = await allTopics({ search, internal }, signal);
    if (asked !== search) return; // typed on meanwhile: another look is under way
    table.setRows(found.topics);
    put(count, found.total > found.topics.length ? t("topics.first", { shown: number(found.topics.length), total: number(found.total) }) : t("topics.count", { count: found.total, total: number(found.total) }));
  }, { every_ms: 10_000 });
  const again = () => {
    remember({ search, internal: internal || null });
    line.refresh();
  };
  const searching = searchField(t("topics.search"), (text) => {
    search = text.trim();
    again();
  }, { value: search });
  put(root, head(t("nav.topics"), { actions: [button(t("topics.create"), () => createTopic(), { kind: "primary", "data-key": "n" })] }), line,
    card(t("nav.topics"), table.element, { inside: false, note: count, actions: [chosen, check(t("topics.internal"), { checked: internal, onchange: (event) => {
      internal = event.target.checked;
      again();
    } }), searching] }));
  if (query.focus === "search") setTimeout(() => searching.focus());
}

/** Page after page: one answer has a bounded size. */
export async function allTopics(query, signal) {
  const topics = [];
  let total = 0;
  do {
    const page = await get("/topics", { ...query, offset: topics.length, limit: PAGE }, signal);
    total = page.total;
    topics.push(...page.topics);
    if (!page.topics.length) break;
  } while (topics.length < Math.min(total, MOST));
  return { total, topics };
}

function columns() {
  return [
    { name: "name", title: t("name"), width: "minmax(120px, 3fr)", show: (row) => topicLink(row.name), sort: (row) => row.name },
    { name: "partitions", title: t("partitions"), right: true, width: "80px", show: (row) => number(row.partitions), sort: (row) => row.partitions },
    { name: "factor", title: t("replication_factor"), wide: true, right: true, width: "84px", show: (row) => number(row.replication_factor), sort: (row) => row.replication_factor },
    { name: "records", title: t("records"), wide: true, right: true, width: "110px", show: (row) => number(row.records), sort: (row) => row.records ?? -1 },
    { name: "health", title: t("health"), width: "minmax(84px, 130px)", show: health, sort: (row) => row.offline * 1e6 + row.under_replicated },
  ];
}

function health(row) {
  if (row.offline) return h("span.pill.bad", {}, t("health.offline", { count: row.offline }));
  if (row.under_replicated) return h("span.pill.warn", {}, t("health.under", { count: row.under_replicated }));
  return h("span.pill.good", {}, t("fine"));
}

function bulk(names) {
  return [
    button(t("grow.action"), () => growTopics(names), { kind: "small" }),
    button(t("reassign.action"), () => go("/reassign", { topics: names.join(",") }), { kind: "small" }),
    button(t("election.action"), () => go("/election", { topics: names.join(",") }), { kind: "small" }),
  ];
}

function createTopic() {
  const name = field(t("name"), { mono: true, required: true, maxlength: "249" });
  const partitions = field(t("partitions"), { type: "number", value: "3", min: "1", required: true });
  const factor = field(t("replication_factor"), { type: "number", value: "3", min: "1", required: true });
  const configs = field(t("configs"), { type: "textarea", hint: t("topics.configs.hint"), placeholder: "retention.ms=86400000" });
  const wanted = (validate_only) => ({ name: name.input.value.trim(), partitions: Number(partitions.input.value), replication_factor: Number(factor.input.value), configs: pairs(configs.input.value), validate_only });
  openDialog({
    title: t("topics.create"),
    body: [name, h("div.fields", {}, partitions, factor), configs],
    actions: [
      { label: t("create"), kind: "primary", run: async () => {
        const made = await post("/topics", wanted(false));
        say(t("topics.created", { name: made.name }));
        go(`/topics/${segment(made.name)}`);
      } },
      { label: t("validate"), run: async () => {
        await post("/topics", wanted(true));
        say(t("topics.valid"));
        return false;
      } },
    ],
  });
}

/** One key=value per line. */
export function pairs(text) {
  const lines = text.split("\n").map((each) => each.trim()).filter(Boolean);
  return Object.fromEntries(lines.map((line) => {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(t("pairs.bad", { line }));
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }));
}

/** Partitions can only be added: for one topic, or to the same number for several. */
export function growTopics(names, now = null) {
  const total = field(t("grow.total"), { type: "number", min: String((now ?? 0) + 1), value: String((now ?? 0) + 1), required: true, hint: t("grow.hint") });
  openDialog({
    title: names.length === 1 ? t("grow.title", { name: names[0] }) : t("grow.title.many", { count: names.length }),
    body: [total],
    actions: [{ label: t("grow.action"), kind: "primary", run: async () => {
      for (const name of names) await post(`/topics/${segment(name)}/partitions`, { total: Number(total.input.value) });
      say(t("grow.done", { count: names.length }));
    } }],
  });
}
