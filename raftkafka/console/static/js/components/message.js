// One message in full: pretty JSON, text, or bytes in hex; and its short form for a row of a table.

import { bytes, number, time } from "../format.js";
import { get, segment } from "../api.js";
import { h, put } from "../dom.js";
import { hexDump, jsonParts } from "./payload.js";
import { openDialog } from "./dialog.js";
import { problem } from "./notice.js";
import { t } from "../i18n/texts.js";
import { tabs } from "./parts.js";

const PREVIEW_CHARACTERS = 300;

export function preview(part) {
  if (part === null) return h("span.muted", {}, "null");
  if (part.text === undefined || part.text === null) return h("span.muted", {}, t("message.binary", { size: bytes(part.size) }));
  return part.text.slice(0, PREVIEW_CHARACTERS);
}

export function showMessage(topic, message) {
  const value = h("div");
  const show = (part) => put(value, payload(part), part?.truncated ? h("div.bar", {}, h("span.small.muted", {}, t("message.truncated", { size: bytes(part.size) })), h("button.button.small", { type: "button", onclick: whole }, t("message.whole"))) : null);
  async function whole() {
    try {
      show((await get(`/topics/${segment(topic)}/partitions/${message.partition}/messages/${message.offset}`)).value);
    } catch (error) {
      value.append(problem(error));
    }
  }
  show(message.value);
  openDialog({
    title: t("message.title", { partition: message.partition, offset: number(message.offset) }),
    wide: true,
    body: [
      h("dl.facts", {},
        h("dt", {}, t("topic")), h("dd.mono", {}, topic),
        h("dt", {}, t("time")), h("dd.num", {}, time(message.timestamp_ms)),
        h("dt", {}, t("key")), h("dd", {}, payload(message.key, true)),
        message.headers.map(([name, part]) => [h("dt.mono", {}, name), h("dd", {}, payload(part, true))])),
      h("h3", {}, t("value"), " ", h("span.small.muted", {}, message.value === null ? "" : bytes(message.value.size))),
      value,
    ],
  });
}

/** All ways in which the bytes can be read; `small`: only the best one. */
function payload(part, small = false) {
  if (part === null) return h("span.muted", {}, t("message.null"));
  if (part.text === "" || part.size === 0) return h("span.muted", {}, t("message.empty"));
  const ways = [];
  const json = part.text === undefined || part.text === null ? null : jsonParts(part.text);
  if (json !== null) ways.push(["json", "JSON", () => h("pre.payload", { tabindex: "0" }, json.map(([kind, text]) => (kind ? h(`span.${kind}`, {}, text) : text)))]);
  if (part.text !== undefined && part.text !== null) ways.push(["text", t("message.text"), () => h("pre.payload", { tabindex: "0" }, part.text)]);
  ways.push(["hex", t("message.hex"), () => h("pre.payload.hex", { tabindex: "0" }, hexDump(octets(part)))]);
  if (!small) return tabs(ways, { chosen: ways[0][0], onChoose: () => {} });
  return part.text === undefined || part.text === null ? h("code", {}, hexDump(octets(part)).trim()) : h("code", {}, part.text);
}

function octets(part) {
  if (part.text !== undefined && part.text !== null) return new TextEncoder().encode(part.text);
  return Uint8Array.from(atob(part.base64), (character) => character.charCodeAt(0));
}
