// All consumer groups with their lag, as it is and as it was while the console was open.

import { card, groupPath, head, pill, searchField } from "../components/parts.js";
import { on, past } from "../events.js";
import { h, put } from "../dom.js";
import { Table } from "../components/table.js";
import { get, segment } from "../api.js";
import { go } from "../router.js";
import { keepFresh } from "../fresh.js";
import { number } from "../format.js";
import { t } from "../i18n/texts.js";

export const groupState = (state) => pill(state, { Stable: "good", Empty: "", Dead: "bad" }[state] ?? "warn");

export async function open({ root, signal, title }) {
  title(t("nav.groups"));
  let all = [];
  let wanted = "";
  const table = new Table({ label: t("nav.groups"), key: (row) => row.id, columns: columns(), sorted: { name: "lag", down: true }, empty: t("groups.none"), onOpen: (row) => go(`/groups/${segment(row.id)}`) });
  const note = h("span");
  const draw = () => {
    const now = past("lag").at(-1)?.groups ?? {};
    table.setRows(all.filter(({ id }) => id.toLowerCase().includes(wanted)).map((group) => ({ ...group, total_lag: now[group.id] ?? group.total_lag })));
    put(note, t("groups.count", { count: all.length }));
  };
  const line = await keepFresh(signal, async () => {
    all = (await get("/groups", {}, signal)).groups;
    draw();
  });
  on("lag", draw, signal);
  put(root, head(t("nav.groups")), line, card(t("nav.groups"), table.element, { inside: false, note, actions: [searchField(t("groups.search"), (text) => {
    wanted = text.trim().toLowerCase();
    draw();
  })] }));
}

function columns() {
  return [
    { name: "id", title: t("group"), width: "minmax(120px, 2.4fr)", show: (row) => h("a", { href: groupPath(row.id) }, row.id), sort: (row) => row.id },
    { name: "state", title: t("state"), width: "minmax(84px, 140px)", show: (row) => groupState(row.state), sort: (row) => row.state },
    { name: "protocol", title: t("protocol"), wide: true, width: "100px", show: (row) => row.protocol_type || "–", sort: (row) => row.protocol_type ?? "" },
    { name: "coordinator", title: t("coordinator"), wide: true, right: true, width: "96px", show: (row) => String(row.coordinator ?? "–"), sort: (row) => row.coordinator },
    { name: "members", title: t("members"), wide: true, right: true, width: "80px", show: (row) => number(row.members), sort: (row) => row.members },
    { name: "lag", title: t("lag"), right: true, width: "96px", show: (row) => number(row.total_lag), sort: (row) => row.total_lag ?? -1 },
  ];
}
