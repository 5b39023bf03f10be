// Bytes and JSON for eyes. Both keep what is there: JSON is laid out anew from its own letters, since a parsed number of
// 20 digits would come back as another number. Only escaped letters in strings are shown as the letters that they are.

const INDENT = "  ";
const MOST_HEX_BYTES = 16_384;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:]/g;

/** [[kind, text], ...] of an object or array, indented; kinds: k (key), s (string), n (number), w (word), "" (the rest). Null when it is no JSON. */
export function jsonParts(text) {
  if (!/^\s*[[{]/.test(text)) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  const tokens = text.match(TOKEN);
  const parts = [];
  let depth = 0;
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    const after = tokens[index + 1];
    if (token === "{" || token === "[") {
      depth += 1;
      parts.push(["", token + (after === "}" || after === "]" ? "" : line(depth))]);
    } else if (token === "}" || token === "]") {
      depth -= 1;
      parts.push(["", (before === "{" || before === "[" ? "" : line(depth)) + token]);
    } else if (token === ",") parts.push(["", `,${line(depth)}`]);
    else if (token === ":") parts.push(["", ": "]);
    else parts.push([kindOf(token, after), token.startsWith("\"") ? JSON.stringify(JSON.parse(token)) : token]);
  });
  return parts;
}

const line = (depth) => `\n${INDENT.repeat(depth)}`;

function kindOf(token, after) {
  if (token.startsWith("\"")) return after === ":" ? "k" : "s";
  return /^[tfn]/.test(token) ? "w" : "n";
}

/** As `hexdump -C`: address, 16 bytes, and the letters among them. */
export function hexDump(octets) {
  const lines = [];
  for (let at = 0; at < Math.min(octets.length, MOST_HEX_BYTES); at += 16) {
    const row = [...octets.slice(at, at + 16)];
    const hex = row.map((each) => each.toString(16).padStart(2, "0"));
    const left = hex.slice(0, 8).join(" ");
    const right = hex.slice(8).join(" ");
    const letters = row.map((each) => (each > 31 && each < 127 ? String.fromCharCode(each) : ".")).join("");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${left.padEnd(23)}  ${right.padEnd(23)}  |${letters}|`);
  }
  if (octets.length > MOST_HEX_BYTES) lines.push("…");
  return `${lines.join("\n")}\n`;
}
