// What a verb prints with: text, tables, JSON documents, errors. Imports config's way of printing errors, table, format, io.
import { printError } from "../exit.ts";
import { visibleText } from "../format.ts";
import type { ClientIo } from "./io.ts";
import { type Column, formatTable } from "./table.ts";

/** A terminal that does not know its size says 0. */
const DEFAULT_WIDTH = 80;
const DEFAULT_ROWS = 24;

/** Everything printed as text is made harmless to a terminal first: names and errors come from the share. */
export class Printer {
  readonly json: boolean;
  readonly #io: ClientIo;
  /** How many lines `redrawTable()` has to take back. */
  #drawnLines = 0;

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

  line(text: string): void {
    this.#io.stdout.write(`${visibleText(text)}\n`);
  }

  /** Whole lines. */
  text(text: string): void {
    this.#io.stdout.write(visibleText(text));
  }

  /** For the person at the terminal, beside the output: goes to stderr, and nowhere under `--json`. */
  note(text: string): void {
    if (!this.json) this.#io.stderr.write(`${visibleText(text)}\n`);
  }

  /** On stderr, as a document under `--json`. @returns the exit status */
  error(error: unknown): number {
    return printError(error, {
      json: this.json,
      write: (text) => void this.#io.stderr.write(visibleText(text)),
    });
  }

  /** One document; on a terminal laid out for reading. */
  document(document: object): void {
    this.#io.stdout.write(`${JSON.stringify(document, null, this.isTerminal ? 2 : undefined)}\n`);
  }

  /** One document of a series: always one line. */
  documentLine(document: object): void {
    this.#io.stdout.write(`${JSON.stringify(document)}\n`);
  }

  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    this.#io.stdout.write(this.#tableText(columns, rows));
  }

  /** Draws a table in the place of the one that was drawn before, on a terminal; as much of it as the screen holds. */
  redrawTable(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
    const lines = this.#tableText(columns, rows).split(/(?<=\n)/);
    const room = (this.#io.stdout.rows || DEFAULT_ROWS) - 1;
    const hidden = lines.length - room;
    const shown = hidden > 0 ? [...lines.slice(0, room - 1), `and ${hidden + 1} lines more\n`] : lines;
    const back = this.#drawnLines === 0 ? "" : `\u001b[${this.#drawnLines}A\r\u001b[J`;
    this.#io.stdout.write(`${back}${shown.join("")}`);
    this.#drawnLines = shown.length;
  }

  #tableText(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
    const safe = rows.map((row) => row.map((cell) => visibleText(cell)));
    const [head = "", ...body] = formatTable(columns, safe, this.width).split(/(?<=\n)/);
    const bold = this.isTerminal && this.#io.color;
    return `${bold ? `\u001b[1m${head.trimEnd()}\u001b[22m\n` : head}${body.join("")}`;
  }
}
