// What is said of something that is away: once, then ever more rarely, and when it is back. Imports clock, errors, log.

import type { Clock } from "./clock.ts";
import { asCourierError } from "./errors.ts";
import type { Log } from "./log.ts";

/** It is said again when it has lasted this long, and then once an hour. */
const REMIND_AFTER_MS = [10_000, 60_000, 600_000];
const REMIND_EVERY_MS = 3_600_000;

export interface OutageOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** What is away, as it begins a sentence: `The share`. */
  readonly subject: string;
}

/** Several places may find the same thing away; one line tells of it. */
export class Outage {
  readonly #options: OutageOptions;
  readonly #places = new Set<string>();
  /** What was told since it began, digits aside: `share stalled for 12 s` is no news after 2 s. */
  readonly #told = new Set<string>();
  #reason: string | null = null;
  #startedAtMs = 0;
  #reminders = 0;

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  /** Why it cannot be used, as it was last found; null while it can. */
  get reason(): string | null {
    return this.#places.size === 0 ? null : this.#reason;
  }

  /** @param place where it was found: each ends it for itself */
  failed(place: string, error: unknown): void {
    const { clock, log, subject } = this.#options;
    const { message, hint } = asCourierError(error);
    this.#reason = message;
    const reason = message.replaceAll(/\d+/g, "0");
    const nowMs = clock.monotonic();
    if (this.#places.size === 0) {
      this.#startedAtMs = nowMs;
      this.#reminders = 0;
      this.#told.clear();
    }
    this.#places.add(place);
    const isNew = !this.#told.has(reason);
    this.#told.add(reason);
    if (!isNew && nowMs - this.#startedAtMs < this.#nextReminderMs()) return;
    if (!isNew) this.#reminders++;
    log.warn({ reason: message, ...(hint === undefined ? {} : { hint }) }, `${subject} cannot be used; trying on`);
  }

  ended(place: string): void {
    if (!this.#places.delete(place) || this.#places.size > 0) return;
    const { clock, log, subject } = this.#options;
    const seconds = Math.round((clock.monotonic() - this.#startedAtMs) / 1000);
    log.info({ after_s: seconds }, `${subject} can be used again`);
  }

  #nextReminderMs(): number {
    const beyond = this.#reminders - REMIND_AFTER_MS.length + 1;
    return REMIND_AFTER_MS[this.#reminders] ?? beyond * REMIND_EVERY_MS;
  }
}
