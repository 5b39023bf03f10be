// Elements from data. Text becomes text nodes, never markup: nothing that the cluster says can turn into HTML.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "indeterminate", "readOnly", "required", "selected"]);
const SVG = "http://www.w3.org/2000/svg";

/**
 * h("button.primary", {onclick, type: "button"}, "text", child, [more], null)
 * `style` is an object and goes through CSSOM, since the content security policy forbids style attributes.
 */
export function h(tag, given = {}, ...rest) {
  const isProps = given !== null && typeof given === "object" && !(given instanceof Node) && !Array.isArray(given);
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(isProps ? given : {})) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [rule, setting] of Object.entries(value)) element.style.setProperty(rule, setting);
    else if (key === "class") element.classList.add(...value.split(" ").filter(Boolean));
    else if (PROPERTIES.has(key)) element[key] = value;
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false) element.setAttribute(key, value);
  }
  add(element, isProps ? rest : [given, ...rest]);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(element, child);
    else if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

export function put(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

/** A line drawing of 24 x 24 from the paths in `icons`. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const ICONS = {
  overview: "M4 13h6V4H4zm10 7h6V4h-6zM4 20h6v-3H4z",
  brokers: "M4 5h16v5H4zm0 9h16v5H4zM8 7.5h.01M8 16.5h.01",
  topics: "M5 6h14M5 12h14M5 18h9",
  map: "M4 4h5v5H4zm0 11h5v5H4zM15 4h5v5h-5zm0 11h5v5h-5zM9 6.500h6M6.500 9v6m11-6v6",
  groups: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7Zm-6 9c0-3.500 2.500-6 6-6s6 2.500 6 6m1-15.500a3.500 3.500 0 0 1 0 6.500m2 3.500c2 .800 3 2.800 3 5.500",
  reassign: "M4 8h13m-4-4 4 4-4 4M20 16H7m4-4-4 4 4 4",
  election: "M12 3l2.600 5.600 6 .700-4.500 4.100 1.200 6L12 16.400 6.700 19.400l1.200-6L3.400 9.300l6-.700z",
  messages: "M4 5h16v11H9l-5 4zM8 9h8M8 12h5",
  timeline: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-14v5l3.500 2",
  menu: "M4 7h16M4 12h16M4 17h16",
  close: "M6 6l12 12M18 6 6 18",
  theme: "M12 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10ZM12 2v2m0 16v2M4.200 4.200l1.500 1.500m12.600 12.600 1.500 1.500M2 12h2m16 0h2M4.200 19.800l1.500-1.500M18.300 5.700l1.500-1.500",
  help: "M9 9.200a3 3 0 1 1 4.400 2.700c-.900.500-1.400 1-1.400 2.100M12 17.500h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
};
