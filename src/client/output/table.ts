// Tables without lines: columns that people, grep and awk can read.
import Table from "cli-table3";
import { cutText, type Paint, plain, type Tone } from "../../program/style.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** Gives way when the table is wider than the terminal: the widest such column first. */
  readonly flexible?: boolean;
  /** Gives way by ending with an ellipsis, so that a row stays on one line, rather than by going on in the next line. */
  readonly cut?: boolean;
  /** It gives way no further, as long as another column can be left out. */
  readonly minimum?: number;
  /** On a terminal that is too narrow the column with the highest number is left out first; undefined: never. */
  readonly leaveOut?: number;
  readonly tone?: (cell: string) => Tone | null;
}

/** Between two columns. */
export const GAP = 2;
const MIN_FLEXIBLE = 12;
/** When no column is left to leave out. */
const LEAST = 6;
const LINES =
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle";
const NO_LINES = Object.fromEntries(LINES.split(" ").map((place) => [place, ""]));

/**
 * The table as text, each line ended.
 * @param width in columns; Infinity leaves every row on one line
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
  paint: Paint = plain,
): string {
  const cells = rows.map((row) => row.map((cell) => (cell === "" ? "-" : cell.replaceAll("\n", " "))));
  const { shown, widths } = fit(columns, cells, width);
  const pick = (row: readonly string[]): string[] => shown.map((index) => row[index] ?? "");
  const chosen = shown.flatMap((index) => columns[index] ?? []);
  const head = chosen.map(({ title, align }) => ({ title, ...(align && { align }), cut: true, tone: strong }));
  const titles = formatRow(
    head,
    head.map(({ title }) => title),
    widths,
    paint,
  );
  const body = cells.map((row) => formatRow(chosen, pick(row), widths, paint)).join("");
  return (titles + body).replaceAll(/ +$/gm, "");
}

function strong(): Tone {
  return "strong";
}

/** The library takes 0.1 ms for a row: it is needed only where a cell is wrapped. */
function formatRow(
  columns: readonly Column[],
  row: readonly string[],
  widths: readonly number[],
  paint: Paint,
): string {
  const fitting = row.map((cell, index) =>
    columns[index]?.cut === true ? cutText(cell, widths[index] ?? cell.length) : cell,
  );
  const free = fitting.map((cell, index) => (widths[index] ?? 0) - Bun.stringWidth(cell));
  // By the whole cell: what it means may be at its end.
  const painted = fitting.map((cell, index) => paint(cell, columns[index]?.tone?.(row[index] ?? "") ?? null));
  if (free.some((each) => each < 0)) return wrapRow(columns, painted, widths);
  const padded = painted.map((cell, index) => {
    const spaces = " ".repeat(free[index] ?? 0);
    return columns[index]?.align === "right" ? spaces + cell : cell + spaces;
  });
  return `${padded.join(" ".repeat(GAP))}\n`;
}

function wrapRow(columns: readonly Column[], row: readonly string[], widths: readonly number[]): string {
  const table = new Table({
    chars: NO_LINES,
    style: { "padding-left": 0, "padding-right": GAP, head: [], border: [], compact: true },
    colWidths: widths.map((columnWidth) => columnWidth + GAP),
    colAligns: columns.map(({ align }) => align ?? "left"),
    wordWrap: true,
  });
  // A single word, such as a model's name, is broken anywhere rather than cut off.
  table.push(row.map((content) => ({ content, wrapOnWordBoundary: content.includes(" ") })));
  return `${table.toString()}\n`;
}

/** What a table needs to show everything. */
export function tableWidth(columns: readonly Column[], rows: readonly (readonly string[])[]): number {
  return totalWidth(naturalWidths(columns, rows));
}

function totalWidth(widths: readonly number[]): number {
  return widths.reduce((sum, each) => sum + each + GAP, -GAP);
}

function naturalWidths(columns: readonly Column[], rows: readonly (readonly string[])[]): number[] {
  return columns.map(({ title }, index) =>
    rows.reduce((widest, row) => Math.max(widest, Bun.stringWidth(row[index] ?? "")), title.length),
  );
}

interface Fitted {
  /** The columns that are not left out. */
  readonly shown: readonly number[];
  /** Of these. */
  readonly widths: readonly number[];
}

function fit(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): Fitted {
  const natural = naturalWidths(columns, rows);
  let shown = columns.map((_, index) => index);
  for (;;) {
    const widths = shown.map((index) => natural[index] ?? 0);
    const minimum = shown.map((index) => columns[index]?.minimum ?? MIN_FLEXIBLE);
    const isFlexible = shown.map((index) => columns[index]?.flexible === true);
    if (shrink(widths, minimum, isFlexible, width)) return { shown, widths };
    const last = Math.max(...shown.map((index) => columns[index]?.leaveOut ?? 0));
    if (last === 0) {
      const least = shown.map(() => LEAST);
      shrink(widths, least, isFlexible, width);
      return { shown, widths };
    }
    shown = shown.filter((index) => (columns[index]?.leaveOut ?? 0) !== last);
  }
}

/** Takes from the widest flexible column first. @returns whether the table then fits */
function shrink(widths: number[], minimum: readonly number[], isFlexible: readonly boolean[], width: number): boolean {
  let excess = totalWidth(widths) - width;
  for (; excess > 0; excess--) {
    const mayGive = widths.map((each, index) =>
      isFlexible[index] === true && each > (minimum[index] ?? 0) ? each : 0,
    );
    const widest = Math.max(...mayGive);
    if (widest === 0) return false;
    widths[mayGive.lastIndexOf(widest)] = widest - 1;
  }
  return true;
}
