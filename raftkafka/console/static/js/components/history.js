// Why a partition is led by who leads it: its history in sentences.

import { get, segment } from "../api.js";
import { h } from "../dom.js";
import { openDialog } from "./dialog.js";
import { sayProblem } from "./notice.js";
import { t } from "../i18n/texts.js";

export async function showHistory(topic, partition) {
  try {
    const { sentences } = await get(`/topics/${segment(topic)}/partitions/${partition}/history`);
    openDialog({
      title: t("history.title", { topic, partition }),
      wide: true,
      body: sentences.length ? h("ol.story", {}, sentences.map((text, index) => h("li", { class: index === sentences.length - 1 ? "now" : "" }, h("span", {}, text)))) : h("p.muted", {}, t("history.none")),
    });
  } catch (error) {
    sayProblem(error);
  }
}
