// One broker: its log directories and its settings.

import { brokerState, card, countTile, head, meter, searchField, sizeTile } from "../components/parts.js";
import { h, put } from "../dom.js";
import { Table } from "../components/table.js";
import { bytes } from "../format.js";
import { configColumns } from "../components/configs.js";
import { get, segment } from "../api.js";
import { keepFresh } from "../fresh.js";
import { t } from "../i18n/texts.js";

export async function open({ root, params, signal, title }) {
  const { id } = params;
  title(t("broker.title", { id }));
  const state = h("span");
  const tiles = h("div.tiles");
  const address = h("p.muted.mono");
  const dirs = new Table({ label: t("log_dirs"), key: (row) => row.path, columns: dirColumns(), short: true });
  const configs = new Table({ label: t("configs"), key: (row) => row.name, columns: configColumns() });
  let all = [];
  let wanted = "";
  const showConfigs = () => configs.setRows(all.filter(({ name, value }) => `${name}=${value}`.toLowerCase().includes(wanted)));
  const line = await keepFresh(signal, async () => {
    const [broker, cluster] = await Promise.all([get(`/brokers/${segment(id)}`, {}, signal), get("/cluster", {}, signal)]);
    const counted = cluster.brokers.find((each) => each.id === broker.id);
    put(state, brokerState(broker.state));
    put(address, `${broker.host}:${broker.port}${broker.rack ? ` · ${t("rack")} ${broker.rack}` : ""}`);
    put(tiles, counted ? [countTile(t("leaders"), counted.leaders), countTile(t("replicas"), counted.replicas), sizeTile(t("size"), counted.size_bytes)] : null);
    dirs.setRows(broker.log_dirs);
    all = broker.configs;
    showConfigs();
  });
  put(root, head(t("broker.title", { id }), { trail: [[t("nav.brokers"), "/brokers"]], actions: [state] }), line, address, tiles,
    card(t("log_dirs"), dirs.element, { inside: false }),
    card(t("configs"), configs.element, { inside: false, actions: [searchField(t("configs.search"), (text) => {
      wanted = text.toLowerCase();
      showConfigs();
    })] }));
}

function dirColumns() {
  const whole = (row) => row.size_bytes + (row.free_bytes ?? 0);
  return [
    { name: "path", title: t("path"), width: "minmax(120px, 2fr)", mono: true, show: (row) => row.path },
    { name: "used", title: t("used"), right: true, width: "90px", show: (row) => bytes(row.size_bytes) },
    { name: "free", title: t("free"), wide: true, right: true, width: "90px", show: (row) => bytes(row.free_bytes) },
    { name: "share", title: t("share"), wide: true, show: (row) => meter(row.size_bytes, whole(row), { label: t("share.of", { used: bytes(row.size_bytes), whole: bytes(whole(row)) }) }) },
    { name: "error", title: t("state"), width: "minmax(60px, 1fr)", show: (row) => (row.error ? h("span.bad", { title: row.error }, row.error) : h("span.good", {}, t("fine"))) },
  ];
}
