// Tables without lines: columns that people, grep and awk can read.
import Table from "cli-table3";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** May be wrapped when the table is wider than the terminal; the widest such column gives way first. */
  readonly flexible?: boolean;
}

const GAP = 2;
const MIN_FLEXIBLE = 12;
const LINES =
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle";
const NO_LINES = Object.fromEntries(LINES.split(" ").map((place) => [place, ""]));

/**
 * The table as text, each line ended.
 * @param width in columns; Infinity leaves every row on one line
 */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string {
  const cells = rows.map((row) => row.map((cell) => (cell === "" ? "-" : cell.replaceAll("\n", " "))));
  const widths = fitWidths(columns, cells, width);
  const titles = columns.map(({ title }) => title);
  const text = [titles, ...cells].map((row) => formatRow(columns, row, widths)).join("");
  return text.replaceAll(/ +$/gm, "");
}

/** The library takes 0.1 ms for a row: it is needed only where a cell is wrapped. */
function formatRow(columns: readonly Column[], row: readonly string[], widths: readonly number[]): string {
  const free = row.map((cell, index) => (widths[index] ?? 0) - Bun.stringWidth(cell));
  if (free.some((each) => each < 0)) return wrapRow(columns, row, widths);
  const padded = row.map((cell, index) => {
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

function fitWidths(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): number[] {
  const widths = columns.map(({ title }, index) =>
    rows.reduce((widest, row) => Math.max(widest, Bun.stringWidth(row[index] ?? "")), title.length),
  );
  let excess = widths.reduce((sum, each) => sum + each + GAP, -GAP) - width;
  for (; excess > 0; excess--) {
    const mayGive = columns.map(({ flexible }, index) => (flexible === true ? (widths[index] ?? 0) : 0));
    const widest = Math.max(...mayGive);
    if (widest <= MIN_FLEXIBLE) break;
    widths[mayGive.lastIndexOf(widest)] = widest - 1;
  }
  return widths;
}
