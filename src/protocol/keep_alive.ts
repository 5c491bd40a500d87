// How long a loaded model stays in memory after its last request, as senders and Ollama write it.
import { z } from "zod";
import { CourierError } from "../base/errors.ts";

/** Seconds, or a duration as Go writes it: `300`, `"10m"`, `"1h30m"`. Negative: until it is unloaded. */
export const KeepAlive = z.union([z.number(), z.string().max(64)]);
export type KeepAlive = z.infer<typeof KeepAlive>;

/** What Ollama takes for "until it is unloaded". */
const FOREVER_S = -1;
const LONGEST_S = 10 * 365 * 86_400;
/** Ollama counts in nanoseconds and unloads at 0: what rounds to that is no load. */
const SHORTEST_S = 0.001;

const UNITS_S: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  "\u00b5s": 1e-6,
  "\u03bcs": 1e-6,
  ns: 1e-9,
};
const PART = String.raw`(\d+\.?\d*|\.\d+)(h|ms|us|\u00b5s|\u03bcs|ns|m|s)`;
const DURATION = new RegExp(`^([+-]?)((?:${PART})+)$`);
/** Ollama's API takes a number without a unit only as JSON, but its settings and command lines have such texts. */
const SECONDS = /^[+-]?(?:\d+\.?\d*|\.\d+)$/;

/**
 * Reads the `keep_alive` of a load.
 * @returns seconds; -1: until it is unloaded
 * @throws CourierError `invalid` for 0, which unloads, and for what is no duration or longer than ten years
 */
export function keepAliveSeconds(value: unknown): number {
  const given = KeepAlive.safeParse(value);
  const seconds = given.success ? secondsOf(given.data) : undefined;
  if (seconds === undefined || !Number.isFinite(seconds))
    throw new CourierError("invalid", "Cannot load: keep_alive is not a duration", {
      hint: 'Write seconds, or a duration such as "10m" or "1h30m"; -1 keeps the model loaded',
    });
  if (Math.abs(seconds) < SHORTEST_S)
    throw new CourierError("invalid", "Cannot load for 0 s: a keep_alive of 0 unloads", { hint: "Unload it instead" });
  if (seconds > LONGEST_S)
    throw new CourierError("invalid", "Cannot load: keep_alive is longer than ten years", {
      hint: "-1 keeps the model loaded until it is unloaded",
    });
  return seconds < 0 ? FOREVER_S : seconds;
}

/** Whether a `keep_alive` unloads the model: `0`, `"0"`, `"0s"`, `"0h0m"`. */
export function endsLoad(value: unknown): boolean {
  const given = KeepAlive.safeParse(value);
  return given.success && secondsOf(given.data) === 0;
}

function secondsOf(value: KeepAlive): number | undefined {
  if (typeof value === "number" || SECONDS.test(value)) return Number(value);
  const [, sign = "", parts] = DURATION.exec(value) ?? [];
  if (parts === undefined) return undefined;
  const amounts = [...parts.matchAll(new RegExp(PART, "g"))];
  const seconds = amounts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (UNITS_S[unit] ?? 0), 0);
  return sign === "-" ? -seconds : seconds;
}
