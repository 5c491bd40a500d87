// What a verb prints with: text, tables, JSON documents, errors.

import { visibleText } from "../../base/format.ts";
import { jsonText } from "../../base/invisible.ts";
import { printError } from "../../program/exit.ts";
import { colored, type Paint, plain, type Tone } from "../../program/style.ts";
import type { ClientIo } from "../io.ts";
import { type Frame, LiveScreen, type Place } from "./live_screen.ts";
import { type Column, formatTable } from "./table.ts";

/** A terminal that does not know its size says 0. */
const DEFAULT_WIDTH = 80;

/** A name of ours and a value; in a color that shows what it means. */
export type Pair = readonly [name: string, value: string, tone?: Tone | null];

/** Everything printed as text is made harmless to a terminal first: names and errors come from the share. */
export class Printer {
  readonly json: boolean;
  /** Colors what it prints, where colors are welcome. */
  readonly paint: Paint;
  readonly #io: ClientIo;
  #live: LiveScreen | undefined;

  constructor(io: ClientIo, json: boolean) {
    this.#io = io;
    this.json = json;
    this.paint = io.color && this.isTerminal && !json ? colored : plain;
  }

  get isTerminal(): boolean {
    return this.#io.stdout.isTTY === true;
  }

  /** In columns; what is no terminal has no end. */
  get width(): number {
    return this.isTerminal ? this.#io.stdout.columns || DEFAULT_WIDTH : Number.POSITIVE_INFINITY;
  }

  /** Whether what was printed can be drawn over. */
  get isLive(): boolean {
    return this.isTerminal && !this.json && this.#io.isDumb !== true;
  }

  /**
   * Takes the terminal over, for lines that are drawn again and again.
   * @param frame its lines at this size, already harmless; drawn at once, and at each change of size
   */
  openLive(place: Place, frame: Frame): LiveScreen {
    this.#live?.close();
    this.#live = new LiveScreen(this.#io.stdout, place, frame);
    return this.#live;
  }

  /** Puts the terminal right, whatever was drawn on it. */
  close(): void {
    this.#live?.close();
  }

  line(text: string): void {
    this.#io.stdout.write(`${visibleText(text, " ")}\n`);
  }

  /** Whole lines. */
  text(text: string): void {
    this.#io.stdout.write(visibleText(text));
  }

  /** Whole lines that are harmless already, in colors. */
  painted(text: string): void {
    this.#io.stdout.write(text);
  }

  /** For the person at the terminal, beside the output: goes to stderr, and nowhere under `--json`. */
  note(text: string, hint?: string): void {
    if (this.json) return;
    const lines = hint === undefined ? [text] : [text, `  ${hint}`];
    this.#printAbove(() => void this.#io.stderr.write(lines.map((line) => `${visibleText(line, " ")}\n`).join("")));
  }

  /** On stderr, as a document under `--json`. @returns the exit status */
  error(error: unknown): number {
    const write = (text: string): void => this.#printAbove(() => void this.#io.stderr.write(text));
    return printError(error, { json: this.json, write });
  }

  /** One document; on a terminal laid out for reading. */
  document(document: object): void {
    this.#io.stdout.write(`${jsonText(document, this.isTerminal ? 2 : undefined)}\n`);
  }

  /** One document of a series: always one line. */
  documentLine(document: object): void {
    this.#io.stdout.write(`${jsonText(document)}\n`);
  }

  /** A name and its value in each line; those without a value are left out. */
  pairs(pairs: readonly Pair[]): void {
    const known = pairs.filter(([, value]) => value !== "");
    const width = Math.max(0, ...known.map(([name]) => name.length));
    const lines = known.map(([name, value, tone = null]) => {
      return `${name.padEnd(width)}  ${this.paint(visibleText(value, " "), tone)}\n`;
    });
    this.#io.stdout.write(lines.join(""));
  }

  /** @param width by default the terminal's; Infinity leaves every row on one line */
  table(columns: readonly Column[], rows: readonly (readonly string[])[], width = this.width): void {
    this.#io.stdout.write(this.tableText(columns, rows, width));
  }

  /** Lines that are being redrawn stay the last ones. */
  #printAbove(print: () => void): void {
    if (this.#live === undefined) print();
    else this.#live.above(print);
  }

  /** A table as text, each line ended. */
  tableText(columns: readonly Column[], rows: readonly (readonly string[])[], width = this.width): string {
    const safe = rows.map((row) => row.map((cell) => visibleText(cell)));
    return formatTable(columns, safe, width, this.paint);
  }
}
