// gpuctl in this process on a terminal in memory, which can be resized while it runs.
import type { Capture, ClientSite } from "#tests/support/sites/client_run.ts";
import { Emulator } from "./emulator.ts";

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export class WatchedRun {
  readonly terminal: Emulator;
  readonly status: Promise<number>;
  readonly stop: () => void;
  readonly stderr: Capture;
  readonly #stdout: Capture;
  #seen = 0;

  constructor(site: ClientSite, argv: readonly string[], { columns, rows }: TerminalSize, color = false) {
    const run = site.start(argv, { terminal: true, columns, rows, color });
    this.terminal = new Emulator(columns, rows);
    this.status = run.status;
    this.stop = run.stop;
    this.stderr = run.stderr;
    this.#stdout = run.stdout;
  }

  /** The present lines of the screen. */
  async screen(): Promise<string[]> {
    await this.#feed();
    return this.terminal.screen;
  }

  /** As a person who drags the window: the terminal changes first, then the program learns of it. */
  async resize({ columns, rows }: TerminalSize): Promise<void> {
    await this.#feed();
    this.terminal.resize(columns, rows);
    this.#stdout.resize(columns, rows);
  }

  async #feed(): Promise<void> {
    const { text } = this.#stdout;
    await this.terminal.write(text.slice(this.#seen));
    this.#seen = text.length;
  }
}
