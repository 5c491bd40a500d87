// A terminal in memory: what was written to it, as a person sees it.
import xterm from "@xterm/headless";

export class Emulator {
  readonly #terminal: InstanceType<typeof xterm.Terminal>;

  /** @param endsLines whether a line break alone ends a line, as a real terminal device makes it */
  constructor(columns: number, rows: number, { endsLines = true } = {}) {
    this.#terminal = new xterm.Terminal({ cols: columns, rows, convertEol: endsLines, allowProposedApi: true });
  }

  async write(text: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#terminal.write(text, resolve));
  }

  resize(columns: number, rows: number): void {
    this.#terminal.resize(columns, rows);
  }

  get isAlternate(): boolean {
    return this.#terminal.buffer.active.type === "alternate";
  }

  /** The lines that can be seen, without the empty ones at the end. */
  get screen(): string[] {
    return this.#lines(this.#terminal.buffer.active.baseY, this.#terminal.rows);
  }

  /** The lines that a person would have to scroll back to, on the normal screen. */
  get history(): string[] {
    return this.#lines(0, this.#terminal.buffer.normal.baseY, "normal");
  }

  /** The color of the first of these words on the screen, as its number of 16; -1: the default. */
  colorOf(word: string): number | undefined {
    const { active } = this.#terminal.buffer;
    for (const [row, text] of this.screen.entries()) {
      const column = text.indexOf(word);
      if (column >= 0)
        return active
          .getLine(active.baseY + row)
          ?.getCell(column)
          ?.getFgColor();
    }
    return undefined;
  }

  #lines(from: number, count: number, of: "active" | "normal" = "active"): string[] {
    const buffer = this.#terminal.buffer[of];
    const lines = Array.from({ length: count }, (_, index) =>
      // After a resize a line may still hold what is right of the screen.
      buffer
        .getLine(from + index)
        ?.translateToString(true, 0, this.#terminal.cols)
        .trimEnd(),
    );
    const last = lines.findLastIndex((line) => line !== "" && line !== undefined);
    return lines.slice(0, last + 1).map((line) => line ?? "");
  }
}
