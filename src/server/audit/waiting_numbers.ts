// The numbers of audit entries that wait for the audit of all servers, which gives them others.
//
// They are far above all of those, so that waiting entries are the newest, and a number shows which one waits.
import type { Database } from "bun:sqlite";

/** Entries with higher numbers wait. Those that another log had before are put between this and the next. */
export const WAITING_FROM = 2 ** 52;
/** New entries begin here. */
export const NEW_FROM = 2 ** 52 + 2 ** 51;

interface Shown {
  /** As readers see it: waiting entries follow on the newest of the others. */
  number(stored: number): number;
  /** The bound of a page as the table has it. */
  before(shown: number): number;
}

interface Range {
  readonly first: number;
  readonly last: number;
  /** How far below their stored numbers its entries are shown. */
  readonly shift: number;
}

/** Without waiting entries the numbers are shown as they are. */
export function shownNumbers(database: Database): Shown {
  const ranges: Range[] = [];
  for (const [from, to] of [
    [0, WAITING_FROM],
    [WAITING_FROM, NEW_FROM],
    [NEW_FROM, Number.MAX_SAFE_INTEGER],
  ] as const) {
    const [first, last] = [edgeOf(database, "MIN", from, to), edgeOf(database, "MAX", from, to)];
    const before = ranges.at(-1);
    if (first === null || last === null) continue;
    const shift = from === 0 ? 0 : first - 1 - (before === undefined ? 0 : before.last - before.shift);
    ranges.push({ first, last, shift });
  }
  return {
    number: (stored) => stored - (ranges.findLast(({ first }) => stored >= first)?.shift ?? 0),
    before: (shown) => {
      const range = ranges.findLast(({ first, shift }) => shown >= first - shift);
      return Math.min(shown + (range?.shift ?? 0), Number.MAX_SAFE_INTEGER);
    },
  };
}

function edgeOf(database: Database, edge: "MIN" | "MAX", from: number, to: number): number | null {
  const query = `SELECT ${edge}(number) AS edge FROM audit WHERE number > ? AND number <= ?`;
  return database.query<{ edge: number | null }, [number, number]>(query).get(from, to)?.edge ?? null;
}
