// Lines over time on a canvas. The legend carries the numbers, so the picture needs no eyes; the pointer picks a moment.

import { h, put } from "../dom.js";
import { clock } from "../format.js";

const LEFT_PX = 62;
const BOTTOM_PX = 18;
const TOP_PX = 6;
const GAPS = 3; // between horizontal lines
const SHARE_MIN = 0.2; // of the window: what there is fills the width soon, and does not jump while it is little

/** series: [{name, color: 1..4}], show(value) -> text, window_ms: how much of the past is drawn at most; base 1024 for bytes. */
export class Chart {
  constructor({ label, series, show, window_ms = 300_000, height = null, base = 1000 }) {
    Object.assign(this, { label, series, show, window_ms, base });
    this.samples = []; // [time_ms, value per series]
    this.at = null;
    this.canvas = h("canvas", { role: "img", "aria-label": label, style: height === null ? {} : { height: `${height}px` } });
    this.legend = h("div.legend");
    this.element = h("figure.chart", {}, this.canvas, this.legend);
    this.canvas.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.#point(null));
    new ResizeObserver(() => this.#later()).observe(this.canvas);
  }

  /** Until `signal` is aborted, follow changes of the theme. */
  follow(signal) {
    addEventListener("theme", () => this.#later(), { signal });
    return this;
  }

  setSamples(samples) {
    this.samples = samples;
    this.#later();
  }

  #point(x) {
    this.at = x;
    this.#later();
  }

  #later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.canvas.isConnected) this.#draw();
    });
  }

  #draw() {
    const ratio = devicePixelRatio || 1;
    const width = this.canvas.clientWidth;
    const height = this.canvas.clientHeight;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `11px ${getComputedStyle(this.canvas).fontFamily}`;
    const end = this.samples.length ? this.samples.at(-1)[0] : Date.now();
    const span = Math.min(this.window_ms, Math.max(this.window_ms * SHARE_MIN, end - (this.samples[0]?.[0] ?? end)));
    const start = end - span;
    const seen = this.samples.filter(([time]) => time >= start);
    const top = nice(Math.max(0, ...seen.flatMap((sample) => sample.slice(1).filter((value) => value !== null && value !== undefined))), this.base);
    const x = (time) => LEFT_PX + ((time - start) / span) * (width - LEFT_PX - 4);
    const y = (value) => height - BOTTOM_PX - (value / top) * (height - BOTTOM_PX - TOP_PX);
    this.#frame(pen, { width, height, start, end, top, x, y });
    this.series.forEach((line, index) => this.#line(pen, seen, index + 1, colour(this.canvas, `--series-${line.color}`), x, y));
    const picked = this.at === null || !seen.length ? null : seen.reduce((best, each) => (Math.abs(x(each[0]) - this.at) < Math.abs(x(best[0]) - this.at) ? each : best));
    if (picked) {
      pen.strokeStyle = colour(this.canvas, "--line-strong");
      pen.beginPath();
      pen.moveTo(x(picked[0]), TOP_PX);
      pen.lineTo(x(picked[0]), height - BOTTOM_PX);
      pen.stroke();
    }
    this.#words(picked ?? seen.at(-1), picked !== null);
  }

  #frame(pen, { width, height, start, end, top, x, y }) {
    pen.strokeStyle = colour(this.canvas, "--line");
    pen.fillStyle = colour(this.canvas, "--muted");
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (let step = 0; step <= GAPS; step += 1) {
      const value = (top * step) / GAPS;
      const at = Math.round(y(value)) + 0.5;
      pen.beginPath();
      pen.moveTo(LEFT_PX, at);
      pen.lineTo(width - 4, at);
      pen.stroke();
      pen.fillText(this.show(value), LEFT_PX - 6, at);
    }
    pen.textBaseline = "bottom";
    for (const [share, align] of [[0, "left"], [0.5, "center"], [1, "right"]]) {
      if (share === 0.5 && width < 260) continue;
      pen.textAlign = align;
      pen.fillText(clock(start + share * (end - start)), x(start + share * (end - start)), height);
    }
  }

  #line(pen, samples, index, stroke, x, y) {
    pen.strokeStyle = stroke;
    pen.lineWidth = 1.75;
    pen.lineJoin = "round";
    pen.lineCap = "round";
    pen.beginPath();
    let drawing = false;
    for (const sample of samples) {
      const value = sample[index];
      if (value === null || value === undefined) drawing = false;
      else if (drawing) pen.lineTo(x(sample[0]), y(value));
      else {
        pen.moveTo(x(sample[0]), y(value));
        drawing = true;
      }
    }
    pen.stroke();
  }

  #words(sample, picked) {
    put(this.legend, this.series.map(({ name, color }, index) =>
      h("span", {}, h("i.swatch", { class: `s${color}` }), name, h("b", {}, sample ? this.show(sample[index + 1]) : "–"))),
    picked ? h("span.end", {}, clock(sample[0])) : null);
    const said = this.series.map(({ name }, index) => `${name} ${sample ? this.show(sample[index + 1]) : "–"}`).join(", ");
    this.canvas.setAttribute("aria-label", `${this.label}: ${said}`);
  }
}

/** The top of the scale: thirds of it are short numbers in units of `base`. Never 0. */
function nice(value, base) {
  if (!(value > 0)) return 3;
  const unit = base ** Math.max(-1, Math.floor(Math.log(value) / Math.log(base)));
  const power = 10 ** Math.floor(Math.log10(value / unit));
  return [1.5, 3, 6, 9, 15].find((step) => step * power * unit >= value * 1.02) * power * unit;
}

/** light-dark() is resolved only where a property is used. */
export function colour(element, name) {
  element.style.setProperty("color", `var(${name})`);
  return getComputedStyle(element).color;
}
