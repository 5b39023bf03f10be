// Preferred election: partitions that another than their first replica leads, and the button that changes it.

import { button, card, head, pill, replicas, topicLink } from "../components/parts.js";
import { h, put } from "../dom.js";
import { problem, say } from "../components/notice.js";
import { Table } from "../components/table.js";
import { keepFresh } from "../fresh.js";
import { number } from "../format.js";
import { post } from "../api.js";
import { t } from "../i18n/texts.js";
import { wholeMap } from "./map.js";

const name = ({ topic, partition }) => `${topic}-${partition}`;

export async function open({ root, query, signal, title }) {
  title(t("nav.election"));
  const asked = new Set((query.topics ?? "").split(",").filter(Boolean));
  const refused = new Map();
  const line2 = h("div");
  const elect = button("", () => run(), { kind: "primary" });
  const table = new Table({ label: t("nav.election"), key: name, columns: columns(refused), selects: true, empty: t("election.none"), onSelect: label });
  let rows = [];
  const line = await keepFresh(signal, async () => {
    const { partitions } = await wholeMap({}, signal);
    rows = partitions.filter((each) => each.leader !== each.replicas[0] && (!asked.size || asked.has(each.topic)));
    show();
  });

  function show() {
    table.setRows(rows.map((each) => ({ ...each, refused: refused.get(name(each)) ?? null })));
  }

  function label(chosen) {
    put(elect, chosen.length ? t("election.run", { count: chosen.length }) : t("election.run_all"));
    elect.disabled = table.given.length === 0;
  }

  async function run() {
    const chosen = table.selectedRows();
    elect.disabled = true;
    put(line2);
    try {
      // All of them means all that are shown: with a filter on topics that is not every partition of the cluster.
      const wanted = (chosen.length ? chosen : table.given).map(({ topic, partition }) => ({ topic, partition }));
      const { results } = await post("/elections/preferred", { partitions: wanted });
      refused.clear();
      for (const each of results) if (each.error && each.error !== "ELECTION_NOT_NEEDED") refused.set(name(each), each.error);
      say(t("election.done", { count: results.length - refused.size }));
    } catch (error) {
      put(line2, problem(error));
    }
    elect.disabled = false;
    line.refresh();
  }

  label([]);
  put(root, head(t("nav.election"), { actions: [elect] }), h("p.muted", {}, t("election.text")), line, line2, card(t("election.list"), table.element, { inside: false, note: asked.size ? [...asked].join(", ") : null }));
}

function columns() {
  const words = (error) => (typeof error === "string" ? error : error.message ?? error.code);
  return [
    { name: "topic", title: t("topic"), width: "minmax(100px, 1.6fr)", show: (row) => topicLink(row.topic), sort: (row) => row.topic },
    { name: "partition", title: t("partition"), right: true, width: "68px", show: (row) => number(row.partition), sort: (row) => row.partition },
    { name: "replicas", title: t("replicas"), width: "minmax(96px, 1fr)", show: replicas },
    { name: "preferred", title: t("preferred"), right: true, width: "84px", show: (row) => String(row.replicas[0]), sort: (row) => row.replicas[0] },
    { name: "result", title: t("result"), wide: true, width: "minmax(90px, 1.4fr)", show: (row) => (row.refused ? pill(words(row.refused), "bad") : "") },
  ];
}
