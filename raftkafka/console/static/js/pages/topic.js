// One topic: its partitions, who holds them and why, its settings, who reads it.

import { button, card, countTile, groupPath, head, replicas, sizeTile, tabs, tile } from "../components/parts.js";
import { bytes, number } from "../format.js";
import { configColumns, editConfig } from "../components/configs.js";
import { del, get, patch, segment } from "../api.js";
import { go, remember } from "../router.js";
import { h, put } from "../dom.js";
import { Table } from "../components/table.js";
import { confirmByName } from "../components/dialog.js";
import { growTopics } from "./topics.js";
import { keepFresh } from "../fresh.js";
import { produce } from "../components/produce.js";
import { say } from "../components/notice.js";
import { showHistory } from "../components/history.js";
import { t } from "../i18n/texts.js";

const MOST_GROUPS = 100; // asked one by one for what they read

export async function open({ root, params, query, signal, title }) {
  const name = params.topic;
  const base = `/topics/${segment(name)}`;
  title(name);
  const tiles = h("div.tiles");
  const partitions = new Table({ label: t("partitions"), key: (row) => row.partition, columns: partitionColumns(name), onOpen: (row) => showHistory(name, row.partition) });
  const configs = new Table({ label: t("configs"), key: (row) => row.name, columns: configColumns((row) => editConfig(row, async (change) => {
    await patch(`${base}/configs`, change);
    say(t("configs.saved", { name: row.name }));
    line.refresh();
  })) });
  let topic = null;
  const line = await keepFresh(signal, async () => {
    topic = await get(base, {}, signal);
    partitions.setRows(topic.partitions);
    configs.setRows(topic.configs);
    put(tiles, tilesOf(topic));
  }, { touches: (topics) => topics === null || topics === undefined || topics.includes(name) });
  put(root, head(name, {
    trail: [[t("nav.topics"), "/topics"]],
    actions: [
      button(t("produce.action"), () => produce(name, topic.partitions.length), { "data-key": "n" }),
      button(t("topic.messages"), () => go("/messages", { topic: name })),
      button(t("grow.action"), () => growTopics([name], topic.partitions.length)),
      button(t("reassign.action"), () => go("/reassign", { topics: name })),
      button(t("delete"), () => confirmByName({
        title: t("topic.delete"), text: t("topic.delete.text", { count: topic.partitions.length }), name, label: t("type_name"), action: t("delete"),
        run: async () => {
          await del(base, { confirm: name });
          say(t("topic.deleted", { name }));
          go("/topics");
        },
      }), { kind: "danger" }),
    ],
  }), line, tiles, card(t("topic.card"), tabs([
    ["partitions", t("partitions"), () => partitions.element],
    ["configs", t("configs"), () => configs.element],
    ["groups", t("topic.groups"), () => readers(name, signal)],
  ], { chosen: query.tab, onChoose: (tab) => remember({ tab }) }), { inside: false, note: topic.id }));
}

function tilesOf({ partitions }) {
  const under = partitions.filter((each) => each.isr.length < each.replicas.length).length;
  const offline = partitions.filter((each) => !(each.leader > 0)).length;
  const strange = partitions.filter((each) => each.leader > 0 && each.leader !== each.replicas[0]).length;
  const sum = (pick) => partitions.reduce((total, each) => total + (pick(each) ?? 0), 0);
  return [
    countTile(t("partitions"), partitions.length),
    countTile(t("replication_factor"), Math.max(0, ...partitions.map((each) => each.replicas.length))),
    countTile(t("records"), sum((each) => (each.latest ?? 0) - (each.earliest ?? 0))),
    sizeTile(t("size"), sum((each) => each.size_bytes)),
    countTile(t("under_replicated"), under, { kind: under ? "warn" : "" }),
    countTile(t("no_leader"), offline, { kind: offline ? "bad" : "" }),
    tile(t("not_preferred"), number(strange), { kind: strange ? "warn" : "", href: strange ? "#/election" : undefined }),
  ];
}

function partitionColumns(topic) {
  return [
    { name: "partition", title: t("partition"), width: "64px", right: true, show: (row) => number(row.partition), sort: (row) => row.partition },
    { name: "replicas", title: t("replicas"), width: "minmax(96px, 1.2fr)", show: replicas, sort: (row) => row.replicas.length - row.isr.length },
    { name: "leader", title: t("leader"), wide: true, width: "60px", right: true, show: (row) => (row.leader > 0 ? String(row.leader) : h("span.bad", {}, t("none"))), sort: (row) => row.leader },
    { name: "epoch", title: t("epoch"), wide: true, width: "60px", right: true, show: (row) => number(row.leader_epoch), sort: (row) => row.leader_epoch },
    { name: "earliest", title: t("earliest"), wide: true, right: true, show: (row) => number(row.earliest), sort: (row) => row.earliest },
    { name: "latest", title: t("latest"), right: true, show: (row) => number(row.latest), sort: (row) => row.latest },
    { name: "size", title: t("size"), wide: true, right: true, show: (row) => bytes(row.size_bytes), sort: (row) => row.size_bytes },
    { name: "why", title: "", width: "64px", right: true, wide: true, show: (row) => button(t("why"), () => showHistory(topic, row.partition), { kind: "small", "aria-label": t("why.of", { partition: row.partition }) }) },
  ];
}

/** Groups that committed in this topic or have a member that owns a part of it. */
function readers(name, signal) {
  const table = new Table({ label: t("topic.groups"), key: (row) => row.id, columns: [
    { name: "id", title: t("group"), width: "minmax(120px, 2fr)", show: (row) => h("a", { href: groupPath(row.id) }, row.id), sort: (row) => row.id },
    { name: "members", title: t("members"), right: true, show: (row) => number(row.members), sort: (row) => row.members },
    { name: "lag", title: t("lag"), right: true, show: (row) => number(row.lag), sort: (row) => row.lag },
  ], onOpen: (row) => go(`/groups/${segment(row.id)}`), empty: t("topic.groups.none") });
  const box = h("div");
  keepFresh(signal, async () => {
    const { groups } = await get("/groups", {}, signal);
    const rows = [];
    for (const { id } of groups.slice(0, MOST_GROUPS)) {
      const group = await get(`/groups/${segment(id)}`, {}, signal);
      const offsets = group.offsets.filter(({ topic }) => topic === name);
      const members = group.members.filter((member) => member.partitions.some(({ topic }) => topic === name));
      if (offsets.length || members.length) rows.push({ id, members: members.length, lag: offsets.reduce((sum, { lag }) => sum + (lag ?? 0), 0) });
    }
    table.setRows(rows);
  }, { every_ms: 10_000 }).then((line) => put(box, line, table.element), (error) => error.name !== "AbortError" && put(box, h("div.inside", {}, error.message)));
  return box;
}
