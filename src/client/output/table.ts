// Tables without lines: columns that people, grep and awk can read.
import { cutText, type Paint, plain, type Tone } from "../../program/style.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** Gives way when the table is wider than the terminal: the widest such column first. */
  readonly flexible?: boolean;
  /** Gives way with an ellipsis, so that a row stays on one line, rather than by going on in the next line; see `shortNames()`. */
  readonly cut?: boolean | "name";
  /** It gives way no further, as long as another column can be left out. */
  readonly minimum?: number;
  /** It gives way no further, as long as another column can give way instead. */
  readonly wanted?: number;
  /** Where a row has any width, as in a pipe, a longer cell makes only its own row longer. */
  readonly usual?: number;
  /** On a terminal that is too narrow the column with the highest number is left out first; undefined: never. */
  readonly leaveOut?: number;
  readonly tone?: (cell: string) => Tone | null;
}

/** The names of models differ in more than their beginning. */
export const MODEL_NAME = { flexible: true, cut: "name" } as const;

/** Between two columns. */
export const GAP = 2;
const MIN_FLEXIBLE = 12;
/** When no column is left to leave out. */
const LEAST = 6;
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
  const given = rows.map((row) => row.map((cell) => (cell === "" ? "-" : cell.replaceAll("\n", " "))));
  const isWhole = width === Number.POSITIVE_INFINITY;
  const { shown, widths, cells } = isWhole ? whole(columns, given) : fit(columns, given, width);
  const pick = (row: readonly string[]): string[] => shown.map((index) => row[index] ?? "");
  const chosen: Shown[] = shown.flatMap((index) => {
    const column = columns[index];
    return column === undefined ? [] : isWhole ? { ...column, cut: "never" } : column;
  });
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

type Shown = Omit<Column, "cut"> & { readonly cut?: Column["cut"] | "never" };

/** One line, or as many as its longest cell needs. */
function formatRow(columns: readonly Shown[], row: readonly string[], widths: readonly number[], paint: Paint): string {
  const cells = row.map((cell, index) => {
    const { cut = false, align = "left", tone } = columns[index] ?? {};
    const width = widths[index] ?? 0;
    // By the whole cell: what it means may be at its end.
    const meant = tone?.(cell) ?? null;
    return (cut === "never" ? [cell] : fitted(cell, width, cut)).map((line) => {
      const spaces = " ".repeat(Math.max(0, width - Bun.stringWidth(line)));
      return align === "right" ? spaces + paint(line, meant) : paint(line, meant) + spaces;
    });
  });
  const height = Math.max(...cells.map(({ length }) => length));
  const empty = widths.map((width) => " ".repeat(width));
  return Array.from({ length: height }, (_, line) => {
    const parts = cells.map((lines, index) => lines[line] ?? empty[index] ?? "");
    return `${parts.join(" ".repeat(GAP))}\n`;
  }).join("");
}

/** A single word that is too long, such as a model's name, is broken anywhere rather than cut off. */
function fitted(cell: string, width: number, cut: boolean | "name"): string[] {
  if (Bun.stringWidth(cell) <= width) return [cell];
  if (cut === "name") return [cutName(cell, width)];
  return cut ? [cutText(cell, width)] : Bun.wrapAnsi(cell, width, { hard: true }).split("\n");
}

/**
 * As `cutText()`, of the names of models: if one with the tag that is the default is too long, all lose that tag, so that a name
 * without a tag means the same in each row. One that is still too long loses its registry, and then its middle.
 */
export function shortNames(names: readonly string[], width: number): string[] {
  const isCut = names.some((name) => isWider(name, width) && withoutDefaultTag(name) !== name);
  return names.map((name) => cutName(isCut ? withoutDefaultTag(name) : name, width));
}

function withoutDefaultTag(name: string): string {
  return name.replace(/:latest$/, "");
}

function cutName(name: string, width: number): string {
  const chars = Bun.stringWidth(name);
  if (chars <= width) return name;
  const own = name.slice(name.lastIndexOf("/") + 1);
  if (own === name || Bun.stringWidth(own) >= width - 1) return cutMiddle(own, width);
  return `…${Bun.sliceAnsi(name, chars - (width - 1))}`;
}

function cutMiddle(text: string, width: number): string {
  const chars = Bun.stringWidth(text);
  if (chars <= width) return text;
  const head = Math.floor((width - 1) / 2);
  return width < 3
    ? cutText(text, width)
    : `${Bun.sliceAnsi(text, 0, head)}…${Bun.sliceAnsi(text, chars - (width - 1 - head))}`;
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
  readonly cells: Cells;
}

type Cells = readonly (readonly string[])[];

/** Where a row has any width. */
function whole(columns: readonly Column[], rows: Cells): Fitted {
  const widths = naturalWidths(columns, rows).map((each, index) => Math.min(each, columns[index]?.usual ?? each));
  return { shown: columns.map((_, index) => index), widths, cells: rows };
}

/** Before anything else gives way, the names of models lose their default tag, if that makes room. */
function fit(columns: readonly Column[], rows: Cells, width: number): Fitted {
  const natural = naturalWidths(columns, rows);
  const tagged = fitWidths(columns, natural, width);
  if (totalWidth(natural) <= width) return { ...tagged, cells: rows };
  const short = rows.map((row) => row.map((cell, index) => shortCell(cell, columns[index])));
  const shortWidths = naturalWidths(columns, short);
  const isCut = tagged.shown.some((index, at) =>
    rows.some((row, line) => row[index] !== short[line]?.[index] && isWider(row[index], tagged.widths[at])),
  );
  if (!isCut && totalWidth(shortWidths) === totalWidth(natural)) return { ...tagged, cells: rows };
  return { ...fitWidths(columns, shortWidths, width), cells: short };
}

function isWider(cell = "", width = 0): boolean {
  return Bun.stringWidth(cell) > width;
}

function shortCell(cell: string, column: Column | undefined): string {
  return column?.cut === "name" ? withoutDefaultTag(cell) : cell;
}

function fitWidths(columns: readonly Column[], natural: readonly number[], width: number): Omit<Fitted, "cells"> {
  let shown = columns.map((_, index) => index);
  for (;;) {
    const widths = shown.map((index) => natural[index] ?? 0);
    const minimum = shown.map((index) => columns[index]?.minimum ?? MIN_FLEXIBLE);
    const wanted = shown.map((index, at) => columns[index]?.wanted ?? minimum[at] ?? 0);
    const isFlexible = shown.map((index) => columns[index]?.flexible === true);
    if (shrink(widths, wanted, isFlexible, width)) return { shown, widths };
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
