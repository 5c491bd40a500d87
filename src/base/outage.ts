// Logs an outage once, then at growing intervals, and then its end.
import type { Clock } from "./clock.ts";
import { asCourierError } from "./errors.ts";
import type { Log } from "./log.ts";

/** The outage is logged again after each of these times, and then once an hour. */
const REMIND_AFTER_MS = [10_000, 60_000, 600_000];
const REMIND_EVERY_MS = 3_600_000;

interface OutageOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** The beginning of the message: the name of the thing that may be unavailable. By default `Share`. */
  readonly subject?: string;
}

/** Several parts of a program may find the same thing unavailable. The log shows it once for all of them. */
export class Outage {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #subject: string;
  readonly #places = new Set<string>();
  /** The reasons logged during this outage, without digits: `share stalled for 12 s` is no news after 2 s. */
  readonly #logged = new Set<string>();
  #reason: string | null = null;
  #startedAtMs = 0;
  #reminders = 0;

  constructor({ clock, log, subject = "Share" }: OutageOptions) {
    this.#clock = clock;
    this.#log = log;
    this.#subject = subject;
  }

  /** The latest reason; null while there is no outage. */
  get reason(): string | null {
    return this.#places.size === 0 ? null : this.#reason;
  }

  /** @param place the part that found it: the outage lasts until each such part calls `ended()` */
  failed(place: string, error: unknown): void {
    const { message, hint } = asCourierError(error);
    this.#reason = message;
    const reason = message.replaceAll(/\d+/g, "0");
    const nowMs = this.#clock.monotonic();
    if (this.#places.size === 0) {
      this.#startedAtMs = nowMs;
      this.#reminders = 0;
      this.#logged.clear();
    }
    this.#places.add(place);
    const isNew = !this.#logged.has(reason);
    this.#logged.add(reason);
    if (!isNew && nowMs - this.#startedAtMs < this.#nextReminderMs()) return;
    if (!isNew) this.#reminders++;
    this.#log.warn(
      { reason: message, ...(hint === undefined ? {} : { hint }) },
      `${this.#subject} unavailable; retrying`,
    );
  }

  ended(place: string): void {
    if (!this.#places.delete(place) || this.#places.size > 0) return;
    const seconds = Math.round((this.#clock.monotonic() - this.#startedAtMs) / 1000);
    this.#log.info({ after_s: seconds }, `${this.#subject} available again`);
  }

  #nextReminderMs(): number {
    const beyond = this.#reminders - REMIND_AFTER_MS.length + 1;
    return REMIND_AFTER_MS[this.#reminders] ?? beyond * REMIND_EVERY_MS;
  }
}
