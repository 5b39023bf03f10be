// The partition map: brokers down, partitions across; leaders, followers, stragglers, and how evenly they lie.

import { card, head, replicas, searchField, topicLink } from "../components/parts.js";
import { get, segment } from "../api.js";
import { go, remember } from "../router.js";
import { h, put } from "../dom.js";
import { Picture } from "../components/picture.js";
import { Table } from "../components/table.js";
import { keepFresh } from "../fresh.js";
import { number } from "../format.js";
import { t } from "../i18n/texts.js";

const PAGE = 1_000;
const MOST = 6_000; // cells of the picture are then still large enough to hit

export async function open({ root, query, signal, title }) {
  title(t("nav.map"));
  let topic = query.topic ?? "";
  let only = query.only ?? "all";
  let found = { brokers: [], partitions: [], skew: {} };
  const balance = h("div.balance");
  const note = h("span");
  const words = h("p.picture-line", { role: "status" });
  const picture = new Picture({ label: t("nav.map"), onPoint: (cell) => put(words, cell === null ? t("map.hint") : describe(cell)), onOpen: ({ partition }) => go(`/topics/${segment(partition.topic)}`) }).follow(signal);
  const table = new Table({ label: t("map.list"), key: (row) => `${row.topic}-${row.partition}`, columns: columns(), short: true, onOpen: (row) => go(`/topics/${segment(row.topic)}`) });
  const draw = () => {
    const partitions = found.partitions.filter(FILTERS[only]);
    picture.set(found.brokers.map(({ id }) => id), partitions);
    table.setRows(partitions);
    put(balance, balances(found));
    put(note, t("map.note", { count: partitions.length, partitions: number(partitions.length), leaders: skew(found.skew.leaders), replicas: skew(found.skew.replicas) }));
  };
  const line = await keepFresh(signal, async () => {
    found = await wholeMap({ topic }, signal);
    draw();
  });
  put(words, t("map.hint"));
  const filter = h("select.input", { "aria-label": t("map.only"), onchange: (event) => {
    only = event.target.value;
    remember({ topic, only: only === "all" ? null : only });
    draw();
  } }, Object.keys(FILTERS).map((key) => h("option", { value: key, selected: key === only }, t(`map.only.${key}`))));
  put(root, head(t("nav.map")), line,
    card(t("map.balance"), balance, { note: h("span", {}, t("map.balance.note")) }),
    card(t("map.picture"), [h("div.bar", {}, legend()), h("div.picture", {}, picture.element), words], { note, actions: [h("div", {}, filter), searchField(t("map.topic"), (text) => {
      topic = text.trim();
      remember({ topic, only: only === "all" ? null : only });
      line.refresh();
    }, { value: topic })] }),
    card(t("map.list"), table.element, { inside: false }));
}

const FILTERS = {
  all: () => true,
  under: (each) => each.isr.length < each.replicas.length,
  offline: (each) => !(each.leader > 0),
  strange: (each) => each.leader > 0 && each.leader !== each.replicas[0],
};

export async function wholeMap(query, signal) {
  const partitions = [];
  let page;
  do {
    page = await get("/partition-map", { ...query, offset: partitions.length, limit: PAGE }, signal);
    partitions.push(...page.partitions);
  } while (page.partitions.length === PAGE && partitions.length < MOST);
  return { ...page, partitions };
}

/** Per cent above the even share. */
const skew = (value) => (value === undefined || value === null ? "–" : `${number(Math.round(value * 100))}%`);

const counts = ({ leaders, preferred_leaders, replicas: held }) => t("map.balance.one", { leaders: number(leaders), preferred_leaders: number(preferred_leaders), replicas: number(held) });

function balances({ brokers }) {
  const even = (name) => brokers.reduce((sum, each) => sum + each[name], 0) / Math.max(1, brokers.length);
  const most = Math.max(1, ...brokers.map((each) => each.leaders), ...brokers.map((each) => each.preferred_leaders));
  return brokers.map((each) => [
    h("a", { href: `#/brokers/${each.id}` }, t("broker.title", { id: each.id })),
    h("span.meter", { role: "img", "aria-label": counts(each) },
      h("i", { class: each.leaders > even("leaders") * 1.2 + 1 ? "over" : "", style: { width: `${(100 * each.leaders) / most}%` } }),
      h("span.mark", { style: { left: `${(100 * even("leaders")) / most}%` } })),
    h("span.small.num.muted", {}, counts(each)),
  ]);
}

function legend() {
  return ["leads", "follows", "behind", "strange"].map((name) => h("span.key", {}, h("i", { class: name }), t(`map.key.${name}`)));
}

function describe({ broker, partition }) {
  const role = partition.leader === broker ? "leads" : !partition.replicas.includes(broker) ? "none" : partition.isr.includes(broker) ? "follows" : "behind";
  return t(`map.says.${role}`, { broker, name: `${partition.topic}-${partition.partition}`, replicas: partition.replicas.join(", "), isr: partition.isr.join(", ") });
}

function columns() {
  return [
    { name: "topic", title: t("topic"), width: "minmax(110px, 2fr)", show: (row) => topicLink(row.topic), sort: (row) => row.topic },
    { name: "partition", title: t("partition"), right: true, width: "70px", show: (row) => number(row.partition), sort: (row) => row.partition },
    { name: "replicas", title: t("replicas"), width: "minmax(96px, 1.4fr)", show: replicas, sort: (row) => row.replicas.length - row.isr.length },
    { name: "preferred", title: t("preferred"), wide: true, width: "90px", right: true, show: (row) => String(row.replicas[0]), sort: (row) => row.replicas[0] },
  ];
}
