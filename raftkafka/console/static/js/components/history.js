// Why a partition is led by who leads it: the words of `rk why`, or in Korean the remembered events.

import { causeText, thenText } from "./causes.js";
import { get, segment } from "../api.js";
import { h } from "../dom.js";
import { language, t } from "../i18n/texts.js";
import { openDialog } from "./dialog.js";
import { sayProblem } from "./notice.js";
import { time } from "../format.js";

export async function showHistory(topic, partition) {
  try {
    const { events, sentences } = await get(`/topics/${segment(topic)}/partitions/${partition}/history`);
    const told = events.map((each) => [h("time", {}, time(each.time)), h("div", {}, `${causeText({ ...each, node_id: each.node })}: ${thenText(each)}`)]);
    const lines = language() === "en" ? sentences.map((text) => [text]) : told;
    openDialog({
      title: t("history.title", { topic, partition }),
      wide: true,
      body: lines.length ? h("ol.story", {}, lines.map((line) => h("li", {}, h("div", {}, line)))) : h("p.muted", {}, t("history.none")),
    });
  } catch (error) {
    sayProblem(error);
  }
}
