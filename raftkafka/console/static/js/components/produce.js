// The dialog that writes one message.

import { field } from "./parts.js";
import { h } from "../dom.js";
import { openDialog } from "./dialog.js";
import { post, segment } from "../api.js";
import { say } from "./notice.js";
import { t } from "../i18n/texts.js";

/** `partitions`: how many the topic has. `onDone({partition, offset, timestamp_ms})` after each message. */
export function produce(topic, partitions, onDone = () => {}) {
  const auto = [["", t("produce.by_key")]];
  const partition = field(t("partition"), { options: [...auto, ...Array.from({ length: partitions }, (_, each) => [each, String(each)])] });
  const encoding = field(t("produce.encoding"), { options: [["text", t("produce.text")], ["base64", "Base64"]] });
  const key = field(t("key"), { mono: true, placeholder: t("produce.no_key") });
  const value = field(t("value"), { type: "textarea" });
  const headers = field(t("headers"), { type: "textarea", hint: t("produce.headers.hint"), placeholder: "trace=abc" });
  const tombstone = h("input", { type: "checkbox", onchange: () => {
    value.input.disabled = tombstone.checked;
  } });
  const send = async () => {
    const placed = await post(`/topics/${segment(topic)}/messages`, {
      partition: partition.input.value === "" ? null : Number(partition.input.value),
      key: key.input.value === "" ? null : key.input.value,
      value: tombstone.checked ? null : value.input.value,
      headers: headerLines(headers.input.value),
      encoding: encoding.input.value,
    });
    say(t("produce.done", placed));
    onDone(placed);
  };
  openDialog({
    title: t("produce.title", { topic }),
    wide: true,
    body: [h("div.fields", {}, partition, encoding, key), value, h("label.check", {}, tombstone, t("produce.null")), headers],
    actions: [{ label: t("produce.send"), kind: "primary", run: send }, { label: t("produce.send_more"), run: async () => {
      await send();
      return false;
    } }],
  });
  value.input.focus();
}

/** name=value per line; unlike settings, a name may come twice. */
function headerLines(text) {
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(t("pairs.bad", { line }));
    return [line.slice(0, at).trim(), line.slice(at + 1)];
  });
}
