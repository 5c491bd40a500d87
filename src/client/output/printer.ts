// What a verb prints with: text, tables, JSON documents, errors.

import { visibleText } from "../../base/format.ts";
import { jsonText } from "../../base/invisible.ts";
import { printError } from "../../program/exit.ts";
import type { ClientIo } from "../io.ts";
import { type Column, formatTable } from "./table.ts";

/** A terminal that does not know its size says 0. */
const DEFAULT_WIDTH = 80;
const DEFAULT_ROWS = 24;
const CLEAR_SCREEN = "\u001b[H\u001b[2J";

/** Everything printed as text is made harmless to a terminal first: names and errors come from the share. */
export class Printer {
  readonly json: boolean;
  readonly #io: ClientIo;
  /** The lines that the next `redraw()` replaces. */
  #drawn: { readonly lines: number; readonly size: string } | undefined;

  constructor(io: ClientIo, json: boolean) {
    this.#io = io;
    this.json = json;
  }

  get isTerminal(): boolean {
    return this.#io.stdout.isTTY === true;
  }

  /** In columns; what is no terminal has no end. */
  get width(): number {
    return this.isTerminal ? this.#io.stdout.columns || DEFAULT_WIDTH : Number.POSITIVE_INFINITY;
  }

  get #height(): number {
    return this.#io.stdout.rows || DEFAULT_ROWS;
  }

  line(text: string): void {
    this.#io.stdout.write(`${visibleText(text, " ")}\n`);
  }

  /** Whole lines. */
  text(text: string): void {
    this.#io.stdout.write(visibleText(text));
  }

  /** For the person at the terminal, beside the output: goes to stderr, and nowhere under `--json`. */
  note(text: string, hint?: string): void {
    if (this.json) return;
    const lines = hint === undefined ? [text] : [text, `  ${hint}`];
    this.#io.stderr.write(lines.map((line) => `${visibleText(line, " ")}\n`).join(""));
  }

  /** On stderr, as a document under `--json`. @returns the exit status */
  error(error: unknown): number {
    return printError(error, { json: this.json, write: (text) => void this.#io.stderr.write(text) });
  }

  /** One document; on a terminal laid out for reading. */
  document(document: object): void {
    this.#io.stdout.write(`${jsonText(document, this.isTerminal ? 2 : undefined)}\n`);
  }

  /** One document of a series: always one line. */
  documentLine(document: object): void {
    this.#io.stdout.write(`${jsonText(document)}\n`);
  }

  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    this.#io.stdout.write(this.#tableText(columns, rows));
  }

  /**
   * Draws a table and lines below it in the place of what was drawn before, on a terminal; as much as the screen holds.
   * After a change of size the old lines may be wrapped: the screen is cleared first.
   */
  redraw(columns: readonly Column[], rows: readonly (readonly string[])[], notes: readonly string[]): void {
    const size = `${this.width}x${this.#height}`;
    const table = this.#tableText(columns, rows).trimEnd().split("\n");
    const room = Math.max(2, this.#height - 1 - notes.length);
    const hidden = table.length - room;
    const shown = hidden > 0 ? [...table.slice(0, room - 1), `and ${hidden + 1} more lines`] : table;
    const lines = [...shown, ...notes.map((note) => visibleText(note, " "))];
    const isResized = this.#drawn !== undefined && this.#drawn.size !== size;
    const back = this.#drawn === undefined ? "" : `\u001b[${this.#drawn.lines}A\r\u001b[J`;
    const text = lines.map((line) => `${Bun.sliceAnsi(line, 0, this.width)}\n`).join("");
    this.#io.stdout.write(`${isResized ? CLEAR_SCREEN : back}${text}`);
    this.#drawn = { lines: lines.length, size };
  }

  #tableText(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
    const safe = rows.map((row) => row.map((cell) => visibleText(cell)));
    const [head = "", ...body] = formatTable(columns, safe, this.width).split(/(?<=\n)/);
    const bold = this.isTerminal && this.#io.color;
    return `${bold ? `\u001b[1m${head.trimEnd()}\u001b[22m\n` : head}${body.join("")}`;
  }
}
