// When a failed event is sent again: after growing times, with chance, and not before the receiver wants it.

/** Nothing is sent again after this time. */
export const GIVE_UP_MS = 24 * 3_600_000;
const FIRST_MS = 5_000;
/** Of a target: it is asked once after each pause, for all of its events. */
const LONGEST_MS = 600_000;
/** So much of a pause is left to chance, so that many senders do not come back at once. */
const CHANCE = 0.25;

/** @param failures so far, at least 1; @param random from 0 to 1 */
export function backoffMs(failures: number, random: number): number {
  const pauseMs = Math.min(FIRST_MS * 2 ** Math.min(failures - 1, 30), LONGEST_MS);
  return Math.round(pauseMs * (1 - CHANCE * random));
}

/** From now on, as the header `Retry-After` says: seconds, or a date. 0 for anything else. */
export function retryAfterMs(header: string | null, nowMs: number): number {
  const text = header?.trim() ?? "";
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), GIVE_UP_MS) : 0;
}
