// Times of day in a time zone as instants, with the days on which clocks are changed.
import { CourierError } from "../../../base/errors.ts";

/** A day of a calendar, as days since 1970-01-01. */
export type Day = number;

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** 1970-01-01 was a Thursday; Sunday is 0. */
const FIRST_WEEKDAY = 4;

export class LocalTime {
  /** As the system names it: `Europe/Berlin`. */
  readonly zone: string;
  readonly #parts: Intl.DateTimeFormat;

  /** @param zone undefined: the one of this machine. @throws CourierError `invalid` when there is no such zone */
  constructor(zone?: string) {
    try {
      this.#parts = new Intl.DateTimeFormat("en-US", {
        ...(zone === undefined ? {} : { timeZone: zone }),
        calendar: "gregory",
        numberingSystem: "latn",
        hourCycle: "h23",
        year: "numeric",
        month: "numeric",
        day: "numeric",
        hour: "numeric",
        minute: "numeric",
        second: "numeric",
      });
    } catch {
      throw new CourierError("invalid", `There is no time zone ${JSON.stringify(zone)}`, {
        hint: "Use a name such as Europe/Berlin or UTC: timedatectl list-timezones",
      });
    }
    this.zone = this.#parts.resolvedOptions().timeZone;
  }

  dayOf(atMs: number): Day {
    return Math.floor(this.#wallMs(atMs) / DAY_MS);
  }

  /** `2026-11-30 20:00` */
  text(atMs: number): string {
    return new Date(this.#wallMs(atMs)).toISOString().slice(0, 16).replace("T", " ");
  }

  /**
   * The instant at which clocks show this time of a day: the first one where they show it twice, and the change itself
   * where they leave it out.
   * @param minutes since midnight; 1440 is the end of the day
   */
  instantOf(day: Day, minutes: number): number {
    const wallMs = day * DAY_MS + minutes * MINUTE_MS;
    // Zones differ from UTC by less than a day, and change rarely.
    const [before, after] = [wallMs - DAY_MS, wallMs + DAY_MS].map((atMs) => this.#offsetMs(atMs));
    const candidates = [before, after].map((offsetMs) => wallMs - (offsetMs ?? 0)).toSorted((a, b) => a - b);
    const shown = candidates.find((atMs) => this.#wallMs(atMs) === wallMs);
    if (shown !== undefined) return shown;
    let [low = 0, high = 0] = candidates;
    while (high - low > 1000) {
      const middle = Math.floor((low + high) / 2);
      if (this.#wallMs(middle) < wallMs) low = middle;
      else high = middle;
    }
    return Math.floor(high / 1000) * 1000;
  }

  /** The time that clocks show, as if they were in UTC; to the second. */
  #wallMs(atMs: number): number {
    const found = new Map(this.#parts.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => found.get(type) ?? 0;
    return Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
  }

  #offsetMs(atMs: number): number {
    return this.#wallMs(atMs) - Math.floor(atMs / 1000) * 1000;
  }
}

/** Sunday is 0. */
export function weekdayOf(day: Day): number {
  return (((day + FIRST_WEEKDAY) % 7) + 7) % 7;
}
