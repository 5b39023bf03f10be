// Numbers, sizes and times as people read them, in the language of the page.

import { language, t } from "./i18n/texts.js";

const made = new Map();

function formatter(kind, options) {
  const key = `${language()} ${kind.name} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new kind(language(), options));
  return made.get(key);
}

const absent = (value) => value === null || value === undefined || Number.isNaN(value);

export const number = (value) => (absent(value) ? "–" : formatter(Intl.NumberFormat, {}).format(value));

/** 3 significant digits: 12, 1.23k, 45.6M. */
export const short = (value) => {
  if (absent(value)) return "–";
  if (Math.abs(value) < 1_000) return formatter(Intl.NumberFormat, { maximumSignificantDigits: 3 }).format(value);
  return formatter(Intl.NumberFormat, { notation: "compact", maximumSignificantDigits: 3 }).format(value);
};

/** Of a share between 0 and 1, never rounded up to a whole that is not there. */
export const percent = (share) => formatter(Intl.NumberFormat, { style: "percent" }).format(Math.floor(Math.min(1, share) * 100) / 100);

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
  if (absent(value)) return "–";
  let index = 0;
  let size = value;
  while (Math.abs(size) >= 1024 && index < UNITS.length - 1) {
    size /= 1024;
    index += 1;
  }
  const digits = index === 0 || size >= 100 ? 0 : 1;
  return `${formatter(Intl.NumberFormat, { maximumFractionDigits: digits }).format(size)} ${UNITS[index]}`;
}

export const bytesRate = (value) => (absent(value) ? "–" : `${bytes(value)}/s`);

export function milliseconds(value) {
  if (absent(value)) return "–";
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${formatter(Intl.NumberFormat, { maximumFractionDigits: digits }).format(value)} ms`;
}

const DAY = { year: "numeric", month: "2-digit", day: "2-digit" };
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };

export function time(ms) {
  if (absent(ms) || ms < 0) return "–";
  return formatter(Intl.DateTimeFormat, { ...DAY, ...CLOCK, fractionalSecondDigits: 3 }).format(ms);
}

export const clock = (ms) => formatter(Intl.DateTimeFormat, CLOCK).format(ms);

/** How long ago or how long: the two largest units are enough. */
export function duration(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  const parts = { d: Math.floor(s / 86_400), h: Math.floor(s / 3_600) % 24, min: Math.floor(s / 60) % 60, s: s % 60 };
  const names = Object.keys(parts);
  const first = Math.max(0, names.findIndex((name) => parts[name] > 0));
  if (s === 0) return t("duration.s", { s });
  return names.slice(first, first + 2).filter((name) => parts[name] > 0).map((name) => t(`duration.${name}`, parts)).join(" ");
}
