// The hours in which a box may pull, as `--pull-window` names them.
import { CourierError } from "../../../base/errors.ts";
import { type Day, LocalTime, weekdayOf } from "./local_time.ts";

/** One window: on each of its days from a time on, to a time of the same day or of the next. */
export interface PullWindow {
  readonly local: LocalTime;
  /** Sunday is 0. */
  readonly weekdays: ReadonlySet<number>;
  /** Since midnight. */
  readonly startMinutes: number;
  readonly endMinutes: number;
}

/** Whether pulls may run now, and when that changes; null: never. */
export type Opening =
  | { readonly isOpen: true; readonly closesAtMs: number | null }
  | { readonly isOpen: false; readonly opensAtMs: number; readonly opensAt: string };

/** A time that clocks leave out is missing once; the next week has it. */
const SEARCH_DAYS = 16;
/** A window that never ends within this time is taken for one that has no end. */
const CHAIN_MS = 14 * 86_400_000;

export class PullWindows {
  readonly #windows: readonly PullWindow[];

  /** @param windows none: always open */
  constructor(windows: readonly PullWindow[]) {
    this.#windows = windows;
  }

  at(nowMs: number): Opening {
    if (this.#windows.length === 0) return { isOpen: true, closesAtMs: null };
    const spans = this.#windows.flatMap((window) => spansOf(window, nowMs)).toSorted((a, b) => a.fromMs - b.fromMs);
    let closesAtMs = nowMs;
    for (const { fromMs, toMs } of spans) if (fromMs <= closesAtMs && toMs > closesAtMs) closesAtMs = toMs;
    if (closesAtMs > nowMs) return { isOpen: true, closesAtMs: closesAtMs - nowMs >= CHAIN_MS ? null : closesAtMs };
    const next = spans.find(({ fromMs }) => fromMs > nowMs);
    if (next === undefined) throw new CourierError("internal", "No window begins within two weeks");
    return { isOpen: false, opensAtMs: next.fromMs, opensAt: next.text };
  }
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  readonly text: string;
}

/** What begins from yesterday on, for two weeks; none without a length. */
function spansOf({ local, weekdays, startMinutes, endMinutes }: PullWindow, nowMs: number): readonly Span[] {
  const yesterday = local.dayOf(nowMs) - 1;
  const days: Day[] = Array.from({ length: SEARCH_DAYS }, (_, index) => yesterday + index);
  return days
    .filter((day) => weekdays.has(weekdayOf(day)))
    .map((day) => {
      const fromMs = local.instantOf(day, startMinutes);
      const toMs = local.instantOf(endMinutes > startMinutes ? day : day + 1, endMinutes);
      return { fromMs, toMs, text: `${local.text(fromMs)} ${local.zone}` };
    })
    .filter(({ fromMs, toMs }) => toMs > fromMs);
}

const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const EXAMPLE = "A window looks like 'Mon-Fri 20:00-06:00', '20:00-06:00' or 'TZ=Europe/Berlin Sat,Sun 00:00-24:00'";

/**
 * Reads `Mon-Fri 20:00-06:00`: days, or every day without them, and times of the box's zone or of the one in `TZ=`. A window
 * that ends before it begins ends on the next day.
 * @throws CourierError `invalid` with an example
 */
export function parsePullWindow(text: string): PullWindow {
  const [, zone, days, start = "", end = ""] =
    /^(?:TZ=(\S+)\s+)?(?:([A-Za-z,\s-]+?)\s+)?(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)$/.exec(text.trim()) ?? [];
  if (start === "") throw unusable(text, EXAMPLE);
  const [startMinutes, endMinutes] = [start, end].map((time) => minutesOf(time));
  if (startMinutes === undefined || endMinutes === undefined || startMinutes === 1440)
    throw unusable(text, "Times go from 00:00 to 23:59, and a window may end at 24:00");
  if (startMinutes === endMinutes)
    throw unusable(text, "It has no length. The whole day is 00:00-24:00; without --pull-window pulls run at any time");
  const weekdays = days === undefined ? new Set(WEEKDAYS.keys()) : weekdaysOf(days);
  if (weekdays === null)
    throw unusable(text, "Days are Mon, Tue, Wed, Thu, Fri, Sat and Sun, such as Mon-Fri or Sat,Sun");
  return { local: localTime(text, zone), weekdays, startMinutes, endMinutes };
}

/**
 * For a repeatable flag. In the environment, the commas behind times separate the windows.
 * @throws CourierError as `parsePullWindow()`
 */
export function addPullWindows(text: string, previous: readonly PullWindow[] = []): readonly PullWindow[] {
  const [first = "", ...more] = text.split(/(?<=:\d\d\s*),/);
  return [...previous, parsePullWindow(first), ...more.filter((each) => each.trim() !== "").map(parsePullWindow)];
}

function localTime(text: string, zone: string | undefined): LocalTime {
  try {
    return new LocalTime(zone);
  } catch (error) {
    if (!(error instanceof CourierError)) throw error;
    throw unusable(text, `${error.message}. ${error.hint ?? ""}`);
  }
}

function minutesOf(time: string): number | undefined {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  const total = hours * 60 + minutes;
  return minutes < 60 && total <= 1440 ? total : undefined;
}

/** `Mon-Wed,Fri`; `Fri-Mon` goes over the end of the week. */
function weekdaysOf(text: string): ReadonlySet<number> | null {
  const found = new Set<number>();
  for (const part of text.toLowerCase().replaceAll(/\s/g, "").split(",")) {
    const [first = "", last = first, ...more] = part.split("-");
    const [from, to] = [WEEKDAYS.indexOf(first), WEEKDAYS.indexOf(last)];
    if (from === -1 || to === -1 || more.length > 0) return null;
    for (let day = from; ; day = (day + 1) % 7) {
      found.add(day);
      if (day === to) break;
    }
  }
  return found;
}

function unusable(text: string, hint: string): CourierError {
  return new CourierError("invalid", `Cannot use ${JSON.stringify(text)} as a pull window`, { hint });
}
