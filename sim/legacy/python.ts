// Python functions that shape the files of the legacy programs: json.dump, datetime.isoformat and open for writing.
import { closeSync, openSync, writeSync } from "node:fs";

/** `json.dump(value)`, or with `indent=2`: Python's separators, and escapes for everything outside printable ASCII. */
export function pythonJson(value: unknown, layout: "flat" | "indented"): string {
  const text = layout === "indented" ? JSON.stringify(value, null, 2) : flat(value);
  return text.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function flat(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flat).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, field]) => `${JSON.stringify(key)}: ${flat(field)}`);
  return `{${fields.join(", ")}}`;
}

/** `datetime.now().isoformat()`: local time in microseconds, without a time zone. */
export function naiveTime(nowMs: number): string {
  const local = new Date(nowMs - new Date(nowMs).getTimezoneOffset() * 60_000);
  const micros = String(Math.floor((performance.now() % 1) * 1000)).padStart(3, "0");
  const text = local.toISOString().replace("Z", micros);
  return text.endsWith(".000000") ? text.slice(0, -7) : text;
}

/** A time of Ollama as its Python client formats it: nanoseconds cut to microseconds, `Z` as `+00:00`. */
export function pythonInstant(text: string): string {
  const [, seconds, fraction = "", zone = ""] = /^([^.Z+]+?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? [];
  if (seconds === undefined) return text;
  const micros = fraction.slice(0, 6).padEnd(6, "0");
  return seconds + (micros === "000000" ? "" : `.${micros}`) + (zone === "Z" ? "+00:00" : zone);
}

/**
 * `open(path, "w")`, write, close: under the final name, so a reader may see the file empty or half-written.
 * Synchronous, as in Python. `between` is called while the file is empty, and again while it is half-written.
 */
export function writeInPlace(path: string, text: string, between: () => void = () => {}): void {
  const file = openSync(path, "w");
  try {
    between();
    const half = Math.floor(text.length / 2);
    writeSync(file, text.slice(0, half));
    between();
    writeSync(file, text.slice(half));
  } finally {
    closeSync(file);
  }
}
