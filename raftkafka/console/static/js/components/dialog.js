// Modal dialogs on the browser's <dialog>: it traps the focus, closes on Esc, and gives the focus back.

import { h, icon, put } from "../dom.js";
import { problem } from "./notice.js";
import { t } from "../i18n/texts.js";

/**
 * `actions`: [{label, kind, run}]; `run` may be async, and the dialog closes when it did not throw and did not return false.
 * The first action is what Enter does. Failures stay in the dialog as one line.
 */
export function openDialog({ title, body, actions = [], wide = false, onClose = () => {} }) {
  const line = h("div");
  const submitters = actions.map(({ label, kind = "", run }, index) =>
    h("button.button", { class: kind, type: index === 0 ? "submit" : "button", onclick: index === 0 ? undefined : () => attempt(run) }, label));
  const form = h("form", {
    novalidate: true,
    onsubmit: (event) => {
      event.preventDefault();
      if (actions.length && !submitters[0].disabled && form.reportValidity()) attempt(actions[0].run);
    },
  },
    h("header", {}, h("h2", {}, title), h("button.button.quiet.icon.end", { type: "button", "aria-label": t("close"), onclick: () => dialog.close() }, icon("close"))),
    h("div.inside", {}, body, line),
    actions.length ? h("footer", {}, h("button.button", { type: "button", onclick: () => dialog.close() }, t("cancel")), submitters.toReversed()) : null);
  const dialog = h("dialog", { class: wide ? "wide" : "", "aria-label": title, onclose: () => {
    dialog.remove();
    onClose();
  } }, form);

  async function attempt(run) {
    put(line);
    for (const each of submitters) each.disabled = true;
    try {
      if ((await run()) !== false) dialog.close();
    } catch (error) {
      put(line, problem(error));
      line.scrollIntoView({ block: "nearest" });
    } finally {
      for (const each of submitters) each.disabled = false;
    }
  }

  document.body.append(dialog);
  dialog.showModal();
  // Not the close button, which stands first.
  (dialog.querySelector(".inside :is(input, select, textarea):not([type=hidden])") ?? submitters[0] ?? dialog.querySelector("button")).focus();
  return { dialog, close: () => dialog.close() };
}

/** Asks for the name of what is about to go: the button works only when it is typed. */
export function confirmByName({ title, text, name, label, action, run }) {
  const input = h("input.input.mono", { id: "typed-name", autocomplete: "off", spellcheck: "false", oninput: () => {
    button.disabled = input.value !== name;
  } });
  const opened = openDialog({
    title,
    body: [h("p", {}, text), h("div.field", {}, h("label", { for: "typed-name" }, label, " ", h("code", {}, name)), input)],
    actions: [{ label: action, kind: "danger primary", run }],
  });
  const button = opened.dialog.querySelector("footer .primary");
  button.disabled = true;
  return opened;
}
