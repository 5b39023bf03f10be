// The cluster at a glance: is it well, who leads, what goes through this node.

import { countTile, brokerState, card, head, pill, tile } from "../components/parts.js";
import { bytes, bytesRate, milliseconds, number, short } from "../format.js";
import { on, past } from "../events.js";
import { h, put } from "../dom.js";
import { Chart } from "../components/chart.js";
import { Table } from "../components/table.js";
import { get, session } from "../api.js";
import { go } from "../router.js";
import { keepFresh } from "../fresh.js";
import { t } from "../i18n/texts.js";

export async function open({ root, signal, title }) {
  title(t("nav.overview"));
  const verdict = h("div");
  const tiles = h("div.tiles");
  const brokers = new Table({ label: t("nav.brokers"), key: (row) => row.id, columns: brokerColumns().filter(({ name }) => name !== "rack" && name !== "size"), onOpen: (row) => go(`/brokers/${row.id}`), short: true });
  const raft = new Table({ label: t("raft"), key: (row) => row.id, columns: raftColumns(), short: true });
  const raftNote = h("span");
  const line = await keepFresh(signal, async () => {
    const cluster = await get("/cluster", {}, signal);
    put(verdict, judge(cluster));
    put(tiles, tilesOf(cluster));
    brokers.setRows(cluster.brokers);
    raft.setRows(raftRows(cluster.raft));
    put(raftNote, t("raft.note", { term: number(cluster.raft.term), index: number(cluster.raft.commit_index) }));
  });
  put(root, head(t("overview.title")), line, verdict, tiles, charts(signal), h("div.columns", {},
    card(t("nav.brokers"), brokers.element, { inside: false }),
    card(t("raft"), raft.element, { inside: false, note: raftNote })));
}

function judge({ counts, brokers, raft }) {
  const away = brokers.filter((each) => each.state === "offline").length;
  if (!(raft.leader_id > 0)) return h("div.verdict.bad", {}, t("verdict.raft"));
  if (counts.offline) return h("div.verdict.bad", {}, t("verdict.offline", { count: counts.offline }));
  if (counts.under_min_isr) return h("div.verdict.bad", {}, t("verdict.min_isr", { count: counts.under_min_isr }));
  if (counts.under_replicated) return h("div.verdict.warn", {}, t("verdict.under", { count: counts.under_replicated }));
  if (away) return h("div.verdict.warn", {}, t("verdict.away", { count: away }));
  return h("div.verdict", {}, t("verdict.good", { count: counts.partitions, partitions: number(counts.partitions), brokers: number(brokers.length) }));
}

function tilesOf({ controller_id, raft, counts }) {
  const alarm = (count, kind) => ({ kind: count ? kind : "" });
  return [
    tile(t("controller"), controller_id > 0 ? String(controller_id) : "–", { href: controller_id > 0 ? `#/brokers/${controller_id}` : undefined }),
    countTile(t("raft.term"), raft.term),
    countTile(t("nav.topics"), counts.topics, { href: "#/topics" }),
    countTile(t("partitions"), counts.partitions, { href: "#/map" }),
    countTile(t("under_replicated"), counts.under_replicated, { ...alarm(counts.under_replicated, "warn"), href: "#/map" }),
    countTile(t("under_min_isr"), counts.under_min_isr, alarm(counts.under_min_isr, "bad")),
    countTile(t("no_leader"), counts.offline, alarm(counts.offline, "bad")),
    countTile(t("groups"), counts.groups, { href: "#/groups" }),
  ];
}

/** Charts of `stats`: a card each, fed by the stream. */
function charts(signal) {
  const wanted = [
    [t("chart.records"), short, [["records_in_per_s", t("chart.records.in"), 1], ["requests_per_s", t("chart.requests"), 4]]],
    [t("chart.bytes"), bytesRate, [["bytes_in_per_s", t("chart.in"), 1], ["bytes_out_per_s", t("chart.out"), 2]], 1024],
    [t("chart.latency"), milliseconds, [["produce_p50_ms", t("chart.produce50"), 3], ["produce_p99_ms", t("chart.produce99"), 1], ["loop_delay_p99_ms", t("chart.loop99"), 2]]],
  ].map(([label, show, series, base]) => {
    const chart = new Chart({ label, show, base, series: series.map(([, name, color]) => ({ name, color })) }).follow(signal);
    const draw = () => chart.setSamples(past("stats").map((each) => [each.time_ms, ...series.map(([name]) => each[name])]));
    draw();
    on("stats", draw, signal);
    return card(label, chart.element, { note: t("chart.note", { node: session.node_id ?? "–" }) });
  });
  return h("div.charts", {}, wanted);
}

export function brokerColumns() {
  return [
    { name: "id", title: t("broker"), width: "56px", show: (row) => h("a", { href: `#/brokers/${row.id}` }, String(row.id)), sort: (row) => row.id },
    { name: "host", title: t("address"), width: "minmax(110px, 1.6fr)", mono: true, show: (row) => `${row.host}:${row.port}`, sort: (row) => row.host },
    { name: "rack", title: t("rack"), wide: true, width: "minmax(40px, .7fr)", show: (row) => row.rack ?? "–", sort: (row) => row.rack ?? "" },
    { name: "state", title: t("state"), width: "86px", show: (row) => brokerState(row.state), sort: (row) => row.state },
    { name: "leaders", title: t("leaders"), right: true, width: "64px", show: (row) => number(row.leaders), sort: (row) => row.leaders },
    { name: "replicas", title: t("replicas"), wide: true, right: true, width: "72px", show: (row) => number(row.replicas), sort: (row) => row.replicas },
    { name: "size", title: t("size"), wide: true, right: true, width: "84px", show: (row) => bytes(row.size_bytes), sort: (row) => row.size_bytes },
  ];
}

function raftRows({ leader_id, voters, observers, lag }) {
  const row = (kind) => (id) => ({ id, role: id === leader_id ? "leader" : kind, lag: lag[id] ?? null });
  return [...voters.map(row("voter")), ...observers.map(row("observer"))];
}

function raftColumns() {
  return [
    { name: "id", title: t("node"), width: "56px", show: (row) => String(row.id), sort: (row) => row.id },
    { name: "role", title: t("raft.role"), show: (row) => pill(t(`raft.${row.role}`), row.role === "leader" ? "good" : ""), sort: (row) => row.role },
    { name: "lag", title: t("raft.lag"), right: true, show: (row) => number(row.role === "leader" ? 0 : row.lag), sort: (row) => row.lag ?? -1 },
  ];
}
