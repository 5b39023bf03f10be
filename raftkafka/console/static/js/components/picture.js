// Brokers x partitions as a picture: one column per partition, one line per broker, wrapped to the width of the page.
// Arrow keys walk through it, Enter opens; what is under the pointer or the cursor is told to `onPoint`.

import { colour } from "./chart.js";
import { h } from "../dom.js";

const LEFT_PX = 34;
const LABEL_PX = 15; // the name of a topic over its columns; left out where cells are tiny
const NAMED_PX = 8;
const BETWEEN_PX = 10;
const SIZES_PX = [18, 14, 11, 8, 6]; // of a cell: the largest with which all fits into a page
const TALLEST_PX = 520;

export class Picture {
  constructor({ label, onPoint, onOpen }) {
    Object.assign(this, { label, onPoint, onOpen, brokers: [], partitions: [], at: null });
    this.element = h("canvas", { role: "img", tabindex: "0", "aria-label": label,
      onpointermove: (event) => this.#moveTo(this.#under(event.offsetX, event.offsetY)),
      onpointerleave: () => this.#moveTo(null),
      onclick: (event) => {
        const at = this.#under(event.offsetX, event.offsetY);
        if (at !== null) this.onOpen(this.#cell(at));
      },
      onkeydown: (event) => this.#onKey(event),
    });
    new ResizeObserver(() => this.#later()).observe(this.element);
  }

  follow(signal) {
    addEventListener("theme", () => this.#later(), { signal });
    return this;
  }

  set(brokers, partitions) {
    Object.assign(this, { brokers, partitions });
    this.at = null;
    this.element.setAttribute("aria-label", `${this.label}: ${brokers.length} x ${partitions.length}`);
    this.#later();
  }

  #layout(width) {
    for (const size of SIZES_PX) {
      const across = Math.max(1, Math.floor((width - LEFT_PX) / size));
      const bands = Math.max(1, Math.ceil(this.partitions.length / across));
      const label = size < NAMED_PX ? 2 : LABEL_PX;
      const band = label + this.brokers.length * size + BETWEEN_PX;
      if (bands * band <= TALLEST_PX || size === SIZES_PX.at(-1)) return { size, across, bands, band, label, height: Math.max(40, bands * band) };
    }
    return null;
  }

  #later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.element.isConnected) this.#draw();
    });
  }

  #draw() {
    const width = this.element.clientWidth;
    this.layout = this.#layout(width);
    const { size, across, bands, band, label, height } = this.layout;
    const ratio = devicePixelRatio || 1;
    this.element.style.setProperty("height", `${height}px`);
    this.element.width = Math.round(width * ratio);
    this.element.height = Math.round(height * ratio);
    const pen = this.element.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = `11px ${getComputedStyle(this.element).fontFamily}`;
    const colours = Object.fromEntries(["accent", "warn", "bad", "muted", "line", "text"].map((name) => [name, colour(this.element, `--${name}`)]));
    pen.fillStyle = colours.muted;
    pen.textBaseline = "middle";
    for (let each = 0; each < bands; each += 1) {
      this.brokers.forEach((id, line) => {
        pen.textAlign = "right";
        if (size >= 10) pen.fillText(String(id), LEFT_PX - 8, each * band + label + (line + 0.5) * size);
      });
    }
    this.#names(pen, colours);
    this.partitions.forEach((partition, index) => {
      const left = LEFT_PX + (index % across) * size;
      const top = Math.floor(index / across) * band + label;
      this.brokers.forEach((id, line) => drawCell(pen, colours, { partition, id, left, top: top + line * size, size }));
    });
    this.#cursor(pen, colours);
  }

  /** The name of a topic stands over its first column, when there is room before the next one's. */
  #names(pen, colours) {
    const { size, across, band, label } = this.layout;
    pen.textAlign = "left";
    for (let index = 0; index < this.partitions.length;) {
      const { topic } = this.partitions[index];
      let end = index + 1;
      while (end < this.partitions.length && this.partitions[end].topic === topic && Math.floor(end / across) === Math.floor(index / across)) end += 1;
      const room = (end - index) * size - 4;
      const left = LEFT_PX + (index % across) * size;
      const top = Math.floor(index / across) * band;
      pen.fillStyle = colours.muted;
      if (room > 24 && label === LABEL_PX) pen.fillText(fitted(pen, topic, room), left + 1, top + label / 2);
      pen.fillStyle = colours.line;
      pen.fillRect(left - 0.5, top + label / 4, 1, label * 0.75 + this.brokers.length * size);
      index = end;
    }
  }

  #cursor(pen, colours) {
    if (this.at === null) return;
    const { size, across, band, label } = this.layout;
    pen.strokeStyle = colours.text;
    pen.lineWidth = 2;
    pen.strokeRect(LEFT_PX + (this.at.index % across) * size, Math.floor(this.at.index / across) * band + label + this.at.line * size, size, size);
  }

  #under(x, y) {
    if (!this.layout) return null;
    const { size, across, band, label } = this.layout;
    const column = Math.floor((x - LEFT_PX) / size);
    const line = Math.floor(((y % band) - label) / size);
    const index = Math.floor(y / band) * across + column;
    if (column < 0 || column >= across || line < 0 || line >= this.brokers.length || index >= this.partitions.length) return null;
    return { index, line };
  }

  #cell({ index, line }) {
    return { broker: this.brokers[line], partition: this.partitions[index] };
  }

  #moveTo(at) {
    if (at?.index === this.at?.index && at?.line === this.at?.line) return;
    this.at = at;
    this.onPoint(at === null ? null : this.#cell(at));
    this.#later();
  }

  #onKey(event) {
    if (!this.partitions.length || !this.layout) return;
    const { index, line } = this.at ?? { index: 0, line: 0 };
    const next = {
      ArrowRight: () => [index + 1, line], ArrowLeft: () => [index - 1, line], Home: () => [0, line], End: () => [this.partitions.length - 1, line],
      ArrowDown: () => (line + 1 < this.brokers.length ? [index, line + 1] : [index + this.layout.across, 0]),
      ArrowUp: () => (line > 0 ? [index, line - 1] : [index - this.layout.across, this.brokers.length - 1]),
    }[event.key];
    if (event.key === "Enter" && this.at) this.onOpen(this.#cell(this.at));
    if (!next) return;
    event.preventDefault();
    const [wantedIndex, wantedLine] = this.at === null ? [0, 0] : next();
    if (wantedIndex >= 0 && wantedIndex < this.partitions.length) this.#moveTo({ index: wantedIndex, line: wantedLine });
  }
}

function drawCell(pen, colours, { partition, id, left, top, size }) {
  const gap = size > 8 ? 1.5 : 0.5;
  const box = [left + gap, top + gap, size - 2 * gap, size - 2 * gap];
  if (!partition.replicas.includes(id)) {
    pen.fillStyle = colours.line;
    pen.globalAlpha = 0.45;
    pen.fillRect(left + size / 2 - 1, top + size / 2 - 1, 2, 2);
  } else if (partition.leader === id) {
    pen.fillStyle = id === partition.replicas[0] ? colours.accent : colours.warn;
    pen.fillRect(...box);
  } else if (partition.isr.includes(id)) {
    pen.fillStyle = colours.accent;
    pen.globalAlpha = 0.28;
    pen.fillRect(...box);
  } else {
    pen.strokeStyle = colours.bad;
    pen.lineWidth = 1.5;
    pen.setLineDash([3, 2]);
    pen.strokeRect(...box);
    pen.setLineDash([]);
  }
  pen.globalAlpha = 1;
}

function fitted(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let kept = text.length;
  while (kept > 1 && pen.measureText(`${text.slice(0, kept)}…`).width > room) kept -= 1;
  return `${text.slice(0, kept)}…`;
}
