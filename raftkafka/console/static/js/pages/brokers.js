// All brokers.

import { card, head } from "../components/parts.js";
import { Table } from "../components/table.js";
import { brokerColumns } from "./overview.js";
import { get } from "../api.js";
import { go } from "../router.js";
import { keepFresh } from "../fresh.js";
import { put } from "../dom.js";
import { t } from "../i18n/texts.js";

export async function open({ root, signal, title }) {
  title(t("nav.brokers"));
  const table = new Table({ label: t("nav.brokers"), key: (row) => row.id, columns: brokerColumns(), onOpen: (row) => go(`/brokers/${row.id}`) });
  const line = await keepFresh(signal, async () => table.setRows((await get("/cluster", {}, signal)).brokers));
  put(root, head(t("nav.brokers")), line, card(t("nav.brokers"), table.element, { inside: false }));
}
