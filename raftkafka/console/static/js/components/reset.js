// The dialog that moves the offsets of a group: always a preview first, then the same request in earnest.

import { field } from "./parts.js";
import { h, put } from "../dom.js";
import { Table } from "./table.js";
import { number } from "../format.js";
import { openDialog } from "./dialog.js";
import { post, segment } from "../api.js";
import { problem, say } from "./notice.js";
import { t } from "../i18n/texts.js";

const TARGETS = ["earliest", "latest", "offset", "timestamp_ms", "shift"];

export function resetOffsets(group, onDone) {
  const topics = [...new Set(group.offsets.map(({ topic }) => topic))].sort();
  const topic = field(t("topic"), { value: topics[0] ?? "", mono: true, required: true, list: "reset-topics", oninput: forget });
  const partitions = field(t("partitions"), { placeholder: t("reset.all"), mono: true, pattern: "\\s*\\d+(\\s*,\\s*\\d+)*\\s*", hint: t("reset.partitions.hint"), oninput: forget });
  const target = field(t("reset.to"), { options: TARGETS.map((each) => [each, t(`reset.to.${each}`)]), onchange: showAmount });
  const amount = field(t("reset.offset"), { type: "number", value: "0", oninput: forget });
  const moment = field(t("reset.moment"), { type: "datetime-local", step: "1", value: localMoment(Date.now() - 3_600_000), oninput: forget });
  const preview = h("div.stack");
  let seen = null; // what was previewed: only that may be run
  const { dialog } = openDialog({
    title: t("reset.title", { group: group.id }),
    wide: true,
    body: [
      h("p.muted", {}, t("reset.text")),
      group.members.length ? problem(t("reset.not_empty", { count: group.members.length })) : null,
      h("div.fields", {}, topic, partitions, target, amount, moment), preview,
      h("datalist", { id: "reset-topics" }, topics.map((each) => h("option", { value: each }))),
    ],
    actions: [
      { label: t("reset.preview"), kind: "primary", run: look },
      { label: t("reset.run"), kind: "danger", run: async () => {
        await post(`/groups/${segment(group.id)}/reset`, { ...seen, dry_run: false });
        say(t("reset.done", { group: group.id }));
        onDone();
      } },
    ],
  });
  const run = [...dialog.querySelectorAll("footer .danger")][0];
  showAmount();

  function forget() {
    seen = null;
    put(preview);
    run.hidden = true;
  }

  function showAmount() {
    const chosen = target.input.value;
    amount.hidden = chosen !== "offset" && chosen !== "shift";
    moment.hidden = chosen !== "timestamp_ms";
    amount.input.min = chosen === "offset" ? "0" : "";
    amount.querySelector("label").textContent = t(chosen === "shift" ? "reset.shift" : "reset.offset");
    if (run) forget();
  }

  async function look() {
    const wanted = { topic: topic.input.value.trim(), partitions: numbers(partitions.input.value), to: to() };
    const { offsets } = await post(`/groups/${segment(group.id)}/reset`, { ...wanted, dry_run: true });
    const table = new Table({ label: t("reset.preview"), key: (row) => `${row.topic}-${row.partition}`, columns: [
      { name: "topic", title: t("topic"), width: "minmax(90px, 2fr)", show: (row) => row.topic },
      { name: "partition", title: t("partition"), right: true, width: "68px", show: (row) => number(row.partition) },
      { name: "before", title: t("reset.before"), right: true, show: (row) => number(row.before) },
      { name: "after", title: t("reset.after"), right: true, show: (row) => h("b", {}, number(row.after)) },
    ], short: true });
    table.setRows(offsets);
    put(preview, h("h3", {}, t("reset.preview")), h("div.card", {}, table.element));
    seen = wanted;
    run.hidden = false;
    return false;
  }

  function to() {
    const chosen = target.input.value;
    if (chosen === "timestamp_ms") return { timestamp_ms: new Date(moment.input.value).getTime() };
    if (chosen === "offset" || chosen === "shift") return { [chosen]: Number(amount.input.value) };
    return { [chosen]: true };
  }
}

const numbers = (text) => (text.trim() === "" ? null : text.split(",").map((each) => Number(each.trim())));

/** What <input type=datetime-local> takes: local time without a zone. */
export function localMoment(ms) {
  const date = new Date(ms);
  return new Date(ms - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
