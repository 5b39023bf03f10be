// Login: a token, kept by the browser only as the cookie that the node sets.

import { field } from "../components/parts.js";
import { post } from "../api.js";
import { h, put } from "../dom.js";
import { problem } from "../components/notice.js";
import { t } from "../i18n/texts.js";

export async function open({ root, query, title }) {
  title(t("login.title"));
  const token = field(t("login.token"), { type: "password", required: true, autocomplete: "current-password" });
  const line = h("div");
  put(root, h("section.card.login", {}, h("header", {}, h("h2", {}, t("login.title"))), h("form.inside.stack", {
    onsubmit: async (event) => {
      event.preventDefault();
      put(line);
      try {
        await post("/login", { token: token.input.value });
        location.hash = `#${query.back?.startsWith("/") ? query.back : "/"}`;
        location.reload(); // a new session: everything starts again
      } catch (error) {
        put(line, problem(error));
        token.input.select();
      }
    },
  }, h("p.muted", {}, t("login.text")), token, line, h("button.button.primary", { type: "submit" }, t("login.action")))));
  setTimeout(() => token.input.focus());
}
