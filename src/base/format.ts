// Formats sizes, durations and foreign text for people.
import { replaceInvisible } from "./invisible.ts";

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;
const AGO_UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;

/** Ollama reports centuries for a model that is never unloaded. */
const FOREVER_S = 10 * 365 * 86_400;

/** In decimal units, as Ollama shows them: `4.1 GB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 999.95 would become 1000.0.
  while (value >= (unit === 0 ? 1000 : 999.95) && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)} ${BYTE_UNITS[unit] ?? "B"}`;
}

/** In the two largest units: `34 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return twoUnits(whole, [60, "min"], [1, "s"]);
  if (whole < 86_400) return twoUnits(whole, [3_600, "h"], [60, "min"]);
  return twoUnits(whole, [86_400, "d"], [3_600, "h"]);
}

/**
 * How long ago an instant was: `3 minutes ago`. An instant in the future, by another machine's clock, is `just now`.
 * @param instant ISO 8601; anything else becomes `-`
 */
export function formatAgo(instant: string | null, nowMs: number): string {
  const seconds = Math.floor((nowMs - Date.parse(instant ?? "")) / 1000);
  if (Number.isNaN(seconds)) return "-";
  for (const [name, length] of AGO_UNITS) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${count} ${name}${count === 1 ? "" : "s"} ago`;
  }
  return "just now";
}

/** How long it is until an instant: `4 minutes from now`, or `forever` when it is decades away. */
export function formatUntil(instant: string, nowMs: number): string {
  const seconds = (Date.parse(instant) - nowMs) / 1000;
  if (Number.isNaN(seconds)) return "-";
  if (seconds > FOREVER_S) return "forever";
  return seconds < 1
    ? "now"
    : formatAgo(new Date(nowMs - seconds * 1000).toISOString(), nowMs).replace("ago", "from now");
}

/**
 * How far off a machine's clock is: `1 h behind`, `34 s ahead`.
 * @param offsetMs the correct clock minus the machine's
 */
export function formatOffset(offsetMs: number): string {
  return `${formatDuration(Math.abs(offsetMs) / 1000)} ${offsetMs > 0 ? "behind" : "ahead"}`;
}

/**
 * Makes text from the share safe for a terminal: characters that move the cursor, change colors, reverse the writing
 * direction or have no width become spaces.
 * @param lineBreak a space where a line of the text could pass for one of our own
 */
export function visibleText(text: string, lineBreak: "\n" | " " = "\n"): string {
  return replaceInvisible(text, " ").replaceAll("\n", lineBreak);
}

function twoUnits(whole: number, [large, largeName]: [number, string], [small, smallName]: [number, string]): string {
  const rest = Math.floor((whole % large) / small);
  return `${Math.floor(whole / large)} ${largeName}${rest === 0 ? "" : ` ${rest} ${smallName}`}`;
}
