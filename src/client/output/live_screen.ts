// Lines on a terminal that are drawn again in their place, and stay there in the end.
import type { Screen } from "../io.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The lines at a size, in colors: each is narrower than the terminal, and all are fewer than its rows. */
export type Frame = (size: Size) => readonly string[];

/** Below what was printed before, or on a screen of its own: `top` and `less` leave no trace in what can be scrolled back. */
export type Place = "below" | "alternate";

/** A terminal that does not know its size says 0. */
const DEFAULT_SIZE: Size = { width: 80, height: 24 };
const ESC = "\u001b[";
const [HIDE_CURSOR, SHOW_CURSOR] = [`${ESC}?25l`, `${ESC}?25h`];
const [ENTER, LEAVE] = [`${ESC}?1049h`, `${ESC}?1049l`];
const [HOME, FIRST_COLUMN, ERASE_LINE, ERASE_BELOW] = [`${ESC}H`, `${ESC}G`, `${ESC}K`, `${ESC}J`];

export class LiveScreen {
  readonly #screen: Screen;
  readonly #place: Place;
  readonly #frame: Frame;
  /** As they are on the terminal. */
  #lines: readonly string[] = [];
  #drawn = "";
  #isOpen = true;
  /** A second Ctrl-C ends the process at once. */
  readonly #onExit = (): void => this.close();
  readonly #onResize = (): void => this.draw();

  constructor(screen: Screen, place: Place, frame: Frame) {
    this.#screen = screen;
    this.#place = place;
    this.#frame = frame;
    screen.write(`${place === "alternate" ? ENTER : ""}${HIDE_CURSOR}`);
    process.once("exit", this.#onExit);
    screen.on("resize", this.#onResize);
    this.draw();
  }

  /** Writes nothing when nothing changed. */
  draw(): void {
    if (!this.#isOpen) return;
    const { width, height } = this.#size;
    const lines = this.#frame({ width, height })
      .slice(0, Math.max(1, height - 1))
      .map((line) => Bun.sliceAnsi(line, 0, Math.max(1, width - 1)));
    const drawn = [width, height, ...lines].join("\n");
    if (drawn === this.#drawn) return;
    const start = this.#place === "alternate" ? HOME : this.#back(width);
    const text = lines.map((line) => `${line}${ERASE_LINE}\n`).join("");
    this.#screen.write(`${start}${text}${ERASE_BELOW}`);
    this.#lines = lines;
    this.#drawn = drawn;
  }

  /** Has something printed above the lines. */
  above(print: () => void): void {
    if (this.#isOpen) this.#screen.write(`${this.#back(this.#size.width)}${ERASE_BELOW}`);
    print();
    this.#lines = [];
    this.#drawn = "";
    this.draw();
  }

  /** Leaves the last frame where it can be scrolled back to. Idempotent. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#screen.off("resize", this.#onResize);
    process.off("exit", this.#onExit);
    const last = this.#lines.map((line) => `${line}\n`).join("");
    this.#screen.write(this.#place === "alternate" ? `${SHOW_CURSOR}${LEAVE}${last}` : SHOW_CURSOR);
  }

  get #size(): Size {
    const { columns, rows } = this.#screen;
    return { width: columns || DEFAULT_SIZE.width, height: rows || DEFAULT_SIZE.height };
  }

  /** To the first line: most terminals wrap what became too long for them when they became narrower. */
  #back(width: number): string {
    const rows = this.#lines.map((line) => Math.max(1, Math.ceil(Bun.stringWidth(line) / width)));
    const count = rows.reduce((sum, each) => sum + each, 0);
    return count === 0 ? FIRST_COLUMN : `${ESC}${count}A${FIRST_COLUMN}`;
  }
}
