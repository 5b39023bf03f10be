// One consumer group: its lag over time, who owns what, its offsets and how to move them.

import { button, card, countTile, head, tile, topicLink } from "../components/parts.js";
import { del, get, segment } from "../api.js";
import { h, put } from "../dom.js";
import { Chart } from "../components/chart.js";
import { Table } from "../components/table.js";
import { confirmByName } from "../components/dialog.js";
import { go } from "../router.js";
import { groupState } from "./groups.js";
import { keepFresh } from "../fresh.js";
import { number, short } from "../format.js";
import { resetOffsets } from "../components/reset.js";
import { say } from "../components/notice.js";
import { t } from "../i18n/texts.js";

const LINES = 4; // as many topics as there are colours; the rest is in the total
const WINDOW_MS = 900_000;
const SAMPLES_MS = 2_000;

export async function open({ root, params, signal, title }) {
  const id = params.group;
  const base = `/groups/${segment(id)}`;
  title(id);
  let group = null;
  const tiles = h("div.tiles");
  const members = new Table({ label: t("members"), key: (row) => row.member_id, columns: memberColumns(), short: true, empty: t("group.no_members") });
  const offsets = new Table({ label: t("offsets"), key: (row) => `${row.topic}-${row.partition}`, columns: offsetColumns(), sorted: { name: "lag", down: true }, empty: t("group.no_offsets") });
  const chart = h("div");
  let drawn = null;
  const line = await keepFresh(signal, async () => {
    const [now, lag] = await Promise.all([get(base, {}, signal), get(`${base}/lag`, { since_ms: Date.now() - WINDOW_MS }, signal)]);
    group = now;
    put(tiles, tilesOf(group));
    members.setRows(group.members);
    offsets.setRows(group.offsets);
    drawn = drawLag(chart, drawn, lag.samples, signal);
  }, { every_ms: SAMPLES_MS });
  put(root, head(id, {
    trail: [[t("nav.groups"), "/groups"]],
    actions: [
      button(t("reset.action"), () => resetOffsets(group, () => line.refresh())),
      button(t("delete"), () => confirmByName({
        title: t("group.delete"), text: t("group.delete.text"), name: id, label: t("type_name"), action: t("delete"),
        run: async () => {
          await del(base, { confirm: id });
          say(t("group.deleted", { name: id }));
          go("/groups");
        },
      }), { kind: "danger" }),
    ],
  }), line, tiles, card(t("group.lag"), chart), card(t("members"), members.element, { inside: false }), card(t("offsets"), offsets.element, { inside: false }));
}

function tilesOf(group) {
  return [
    tile(t("state"), groupState(group.state)),
    countTile(t("lag"), group.total_lag),
    countTile(t("members"), group.members.length),
    tile(t("coordinator"), String(group.coordinator ?? "–"), { href: group.coordinator > 0 ? `#/brokers/${group.coordinator}` : undefined }),
    tile(t("group.strategy"), group.protocol || "–"),
  ];
}

/** One line per topic, at most LINES; a new chart only when the topics change. */
function drawLag(box, drawn, samples, signal) {
  const last = samples.at(-1)?.by_topic ?? {};
  const topics = Object.keys(last).sort((one, other) => last[other] - last[one]).slice(0, LINES - 1).sort();
  const names = topics.join(" ");
  if (drawn?.names !== names) {
    const series = [{ name: t("group.total"), color: 1 }, ...topics.map((name, index) => ({ name, color: index + 2 }))];
    drawn = { names, topics, chart: new Chart({ label: t("group.lag"), series, show: short, window_ms: WINDOW_MS, height: 180 }).follow(signal) };
    put(box, drawn.chart.element);
  }
  drawn.chart.setSamples(samples.map((each) => [each.time_ms, each.total_lag, ...topics.map((name) => each.by_topic[name])]));
  return drawn;
}

function memberColumns() {
  return [
    { name: "member", title: t("member"), width: "minmax(120px, 1.4fr)", mono: true, show: (row) => row.instance_id ?? row.member_id, sort: (row) => row.member_id },
    { name: "client", title: t("client"), wide: true, width: "minmax(90px, .8fr)", show: (row) => row.client_id || "–", sort: (row) => row.client_id },
    { name: "host", title: t("host"), wide: true, width: "minmax(90px, .7fr)", mono: true, show: (row) => row.host || "–", sort: (row) => row.host },
    { name: "owns", title: t("owns"), width: "minmax(120px, 2.4fr)", show: owned },
  ];
}

/** orders 0, 1, 2 · audit 4 */
function owned({ partitions }) {
  if (!partitions.length) return t("none");
  const by_topic = Map.groupBy ? Map.groupBy(partitions, ({ topic }) => topic) : partitions.reduce((map, each) => map.set(each.topic, [...(map.get(each.topic) ?? []), each]), new Map());
  return [...by_topic].map(([topic, list]) => `${topic} ${list.map(({ partition }) => partition).sort((one, other) => one - other).join(", ")}`).join(" · ");
}

function offsetColumns() {
  return [
    { name: "topic", title: t("topic"), width: "minmax(100px, 1.6fr)", show: (row) => topicLink(row.topic), sort: (row) => row.topic },
    { name: "partition", title: t("partition"), right: true, width: "68px", show: (row) => number(row.partition), sort: (row) => row.partition },
    { name: "committed", title: t("committed"), right: true, width: "minmax(70px, 110px)", show: (row) => number(row.committed), sort: (row) => row.committed ?? -1 },
    { name: "latest", title: t("latest"), wide: true, right: true, width: "minmax(70px, 110px)", show: (row) => number(row.latest), sort: (row) => row.latest },
    { name: "lag", title: t("lag"), right: true, width: "minmax(60px, 100px)", show: (row) => number(row.lag), sort: (row) => row.lag ?? -1 },
    { name: "member", title: t("owner"), wide: true, width: "minmax(100px, 1.2fr)", mono: true, show: (row) => row.member_id ?? "–", sort: (row) => row.member_id ?? "" },
  ];
}
