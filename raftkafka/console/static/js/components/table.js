// A table that makes elements only for the rows in sight, so that 10,000 rows scroll as smoothly as ten.
//
// Rows have one height. A row that did not change keeps its element (and with it the focus, and what was typed in it).
// Arrow keys, Home, End, Page Up and Page Down move, Enter opens, Space selects: the pattern "grid" of WAI-ARIA.

import { h, put } from "../dom.js";
import { t } from "../i18n/texts.js";

const ROW_PX = 34; // --row of tokens.css
const SPARE_ROWS = 6;
const NARROW = matchMedia("(max-width: 640px)");

/**
 * columns: [{name, title, show(row) -> Node or text, width, right, mono, sort(row), wide}]; `wide` ones are left out on phones.
 * key(row): what stays the same when a row changes. onOpen(row): Enter or a click. `selects`: rows have a check box.
 */
export class Table {
  constructor({ label, columns, key, onOpen = null, selects = false, onSelect = () => {}, empty = t("table.empty"), sorted = null, short = false }) {
    Object.assign(this, { columns, key, onOpen, selects, onSelect, empty });
    this.rows = [];
    this.given = [];
    this.sorted = sorted;
    this.selected = new Set();
    this.active = 0;
    this.made = new Map();
    this.head = h("div.grid-row.grid-head", { role: "row" });
    this.body = h("div.grid-body", { role: "rowgroup" });
    this.nothing = h("div.grid-empty", { hidden: true }, empty);
    this.element = h("div.grid", { role: "grid", "aria-label": label, class: short ? "short" : "", onscroll: () => this.#draw(), onkeydown: (event) => this.#onKey(event) },
      h("div", { role: "rowgroup" }, this.head), this.body, this.nothing);
    NARROW.addEventListener("change", () => this.element.isConnected && this.#restyle());
    new ResizeObserver(() => this.#draw()).observe(this.element);
    this.#restyle();
  }

  setRows(rows) {
    this.given = rows;
    if (this.selects) {
      const there = new Set(rows.map(this.key));
      for (const key of [...this.selected]) if (!there.has(key)) this.selected.delete(key);
      this.#tellSelected();
    }
    this.#sort();
  }

  selectedRows() {
    return this.given.filter((row) => this.selected.has(this.key(row)));
  }

  select(keys) {
    this.selected = new Set(keys);
    this.made.clear();
    this.#draw(true);
    this.#tellSelected();
  }

  #shown() {
    return this.columns.filter((column) => !(column.wide && NARROW.matches));
  }

  #restyle() {
    const shown = this.#shown();
    this.template = [...(this.selects ? ["18px"] : []), ...shown.map((column) => column.width ?? "minmax(0, 1fr)")].join(" ");
    this.head.style.setProperty("grid-template-columns", this.template);
    this.all = h("input", { type: "checkbox", "aria-label": t("table.all"), onchange: (event) => this.select(event.target.checked ? this.rows.map(this.key) : []) });
    put(this.head, this.selects ? h("div.cell", { role: "columnheader" }, this.all) : null, shown.map((column) => this.#heading(column)));
    this.made.clear();
    this.#draw(true);
  }

  #heading(column) {
    const direction = this.sorted?.name === column.name ? (this.sorted.down ? "descending" : "ascending") : "none";
    const text = column.sort ? h("button", { type: "button", onclick: () => this.#sortBy(column) }, column.title) : column.title;
    return h("div.cell", { role: "columnheader", class: column.right ? "right" : "", "data-column": column.name, "aria-sort": column.sort ? direction : undefined }, text);
  }

  #sortBy(column) {
    const again = this.sorted?.name === column.name;
    this.sorted = { name: column.name, down: again ? !this.sorted.down : Boolean(column.right) };
    this.#restyle();
    this.#sort();
    this.head.querySelector(`[data-column="${column.name}"] button`).focus();
  }

  #sort() {
    const column = this.sorted && this.columns.find(({ name }) => name === this.sorted.name);
    if (column) {
      const sign = this.sorted.down ? -1 : 1;
      this.rows = [...this.given].sort((one, other) => sign * compare(column.sort(one), column.sort(other)));
    } else this.rows = this.given;
    this.nothing.hidden = this.rows.length > 0;
    this.active = Math.max(0, Math.min(this.active, this.rows.length - 1));
    this.element.setAttribute("aria-rowcount", String(this.rows.length + 1));
    this.body.style.setProperty("height", `${this.rows.length * ROW_PX}px`);
    this.#draw(true);
  }

  #draw(changed = false) {
    const height = this.element.clientHeight || 600;
    const first = Math.max(0, Math.floor(this.element.scrollTop / ROW_PX) - SPARE_ROWS);
    const end = Math.min(this.rows.length, Math.ceil((this.element.scrollTop + height) / ROW_PX) + SPARE_ROWS);
    if (!changed && first === this.first && end === this.end) return;
    Object.assign(this, { first, end });
    const wanted = new Map();
    for (let index = first; index < end; index += 1) this.#row(index, wanted);
    // The row with the focus stays, also out of sight: else the focus would fall back to the page.
    const focused = document.activeElement?.closest?.(".grid-body > .grid-row");
    if (focused && this.body.contains(focused) && !wanted.has(focused.dataset.key)) {
      const index = this.rows.findIndex((row) => this.key(row) === focused.dataset.key);
      if (index >= 0) this.#row(index, wanted);
    }
    for (const [key, { element }] of this.made) if (!wanted.has(key) || wanted.get(key).element !== element) element.remove();
    const lost = this.body.contains(document.activeElement) ? null : this.focusedKey;
    for (const [key, { element }] of wanted) {
      if (element.parentNode !== this.body) this.body.append(element);
      if (lost !== null && lost !== undefined && key === lost) element.focus({ preventScroll: true });
    }
    for (const each of [...this.body.children]) if (wanted.get(each.dataset.key)?.element !== each) each.remove();
    this.made = wanted;
  }

  #row(index, wanted) {
    const row = this.rows[index];
    const key = String(this.key(row));
    const print = JSON.stringify(row);
    let made = this.made.get(key);
    if (made === undefined || made.print !== print) {
      const hadFocus = made?.element.contains(document.activeElement);
      made = { print, element: this.#make(row, key) };
      if (hadFocus) this.focusedKey = key;
    }
    made.element.style.setProperty("top", `${index * ROW_PX}px`);
    made.element.setAttribute("aria-rowindex", String(index + 2));
    made.element.tabIndex = index === this.active ? 0 : -1;
    wanted.set(key, made);
  }

  #make(row, key) {
    const mark = this.selects ? h("input", { type: "checkbox", tabindex: "-1", checked: this.selected.has(this.key(row)), "aria-label": t("table.select", { name: key }), onchange: () => this.#toggle(row) }) : null;
    const element = h("div.grid-row", {
      role: "row", "data-key": key, class: this.onOpen ? "opens" : "", "aria-selected": this.selects ? String(this.selected.has(this.key(row))) : undefined,
      style: { "grid-template-columns": this.template },
      onfocus: () => this.#activate(key),
      onclick: (event) => {
        if (this.onOpen && !event.target.closest("a, button, input, select, label") && String(getSelection()) === "") this.onOpen(row);
      },
    }, mark && h("div.cell", { role: "gridcell" }, mark), this.#shown().map((column) => {
      const content = column.show(row);
      return h("div.cell", { role: "gridcell", class: [column.right && "right", column.mono && "mono"].filter(Boolean).join(" "), title: typeof content === "string" ? content : undefined }, content);
    }));
    return element;
  }

  #activate(key) {
    this.focusedKey = key;
    this.active = Math.max(0, this.rows.findIndex((row) => String(this.key(row)) === key));
    for (const each of this.body.children) each.tabIndex = each.dataset.key === key ? 0 : -1;
  }

  #toggle(row) {
    const key = this.key(row);
    if (!this.selected.delete(key)) this.selected.add(key);
    const element = this.made.get(String(key))?.element;
    if (element) {
      element.setAttribute("aria-selected", String(this.selected.has(key)));
      element.querySelector("input").checked = this.selected.has(key);
    }
    this.#tellSelected();
  }

  #tellSelected() {
    this.all.checked = this.rows.length > 0 && this.selected.size === this.rows.length;
    this.all.indeterminate = this.selected.size > 0 && this.selected.size < this.rows.length;
    this.onSelect(this.selectedRows());
  }

  #onKey(event) {
    if (event.target.closest("input:not([type=checkbox]), select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PX) - 2);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    const onRow = event.target.matches?.(".grid-body > .grid-row");
    if (step !== undefined && this.rows.length) {
      event.preventDefault();
      this.focusRow(event.target.closest(".grid-head") ? 0 : this.active + step);
    } else if (onRow && event.key === "Enter" && this.onOpen) {
      event.preventDefault();
      this.onOpen(this.rows[this.active]);
    } else if (onRow && event.key === " " && this.selects) {
      event.preventDefault();
      this.#toggle(this.rows[this.active]);
    }
  }

  focusRow(wanted) {
    const index = Math.max(0, Math.min(this.rows.length - 1, wanted));
    this.active = index;
    this.focusedKey = String(this.key(this.rows[index]));
    const top = index * ROW_PX;
    const view = this.element.clientHeight - ROW_PX; // the head covers one row
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + ROW_PX > this.element.scrollTop + view) this.element.scrollTop = top + ROW_PX - view;
    this.#draw(true);
    this.made.get(this.focusedKey)?.element.focus({ preventScroll: true });
  }
}

function compare(one, other) {
  if (typeof one === "string" && typeof other === "string") return one.localeCompare(other, undefined, { numeric: true });
  return (one ?? -Infinity) < (other ?? -Infinity) ? -1 : (one ?? -Infinity) > (other ?? -Infinity) ? 1 : 0;
}
