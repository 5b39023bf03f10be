// Settings as a table, and the dialog that changes one.

import { field } from "./parts.js";
import { bytes, duration } from "../format.js";
import { h } from "../dom.js";
import { openDialog } from "./dialog.js";
import { t } from "../i18n/texts.js";

export function configColumns(edit = null) {
  return [
    { name: "name", title: t("name"), width: "minmax(150px, 1.4fr)", mono: true, show: (row) => row.name, sort: (row) => row.name },
    { name: "value", title: t("value"), width: "minmax(90px, 1.2fr)", mono: true, show: shown, sort: (row) => row.value ?? "" },
    { name: "source", title: t("source"), wide: true, width: "minmax(110px, .8fr)", show: (row) => sourceName(row), sort: (row) => row.source },
    ...(edit === null ? [] : [{ name: "edit", title: "", width: "72px", right: true, show: (row) => (row.read_only ? "" : h("button.button.small", { type: "button", "aria-label": t("configs.edit.one", { name: row.name }), onclick: () => edit(row) }, t("edit"))) }]),
  ];
}

const LONG_MAX = "9223372036854775807";

/** The value as it is written, and beside it what a person reads: 604800000 is seven days. */
function shown({ name, value }) {
  if (value === null || value === undefined) return "–";
  const words = meaning(name, value);
  return words === null ? value : h("span", { title: `${value} (${words})` }, value, h("span.muted.meaning", {}, words));
}

function meaning(name, value) {
  if (value === LONG_MAX) return t("configs.no_limit");
  const amount = Number(value);
  if (!/^\d+$/.test(value) || amount < 1_000) return null;
  if (/[.]bytes$/.test(name)) return bytes(amount);
  return /[.]ms$/.test(name) ? duration(amount) : null;
}

/** Kafka's names of sources are the API's; what an operator asks is: was this set here, or is it inherited? */
function sourceName({ source }) {
  const text = { DYNAMIC_TOPIC_CONFIG: "source.topic", DEFAULT_CONFIG: "source.default", STATIC_BROKER_CONFIG: "source.file" }[source];
  return text ? t(text) : String(source ?? "–").toLowerCase().replaceAll("_", " ");
}

/** `save({set, delete})` is called with Kafka's key and its new value, or with what goes back to its default. */
export function editConfig(row, save) {
  const value = field(t("value"), { value: row.value ?? "", mono: true });
  const isOwn = row.source === "DYNAMIC_TOPIC_CONFIG" || /topic/i.test(row.source ?? "");
  openDialog({
    title: row.name,
    body: [row.documentation ? h("p.muted", {}, row.documentation) : null, value, row.default === null || row.default === undefined ? null : h("p.small.muted", {}, t("configs.default", { value: row.default === "" ? "\"\"" : row.default }))],
    actions: [
      { label: t("save"), kind: "primary", run: () => save({ set: { [row.name]: value.input.value.trim() }, delete: [] }) },
      ...(isOwn ? [{ label: t("configs.reset"), run: () => save({ set: {}, delete: [row.name] }) }] : []),
    ],
  });
}
