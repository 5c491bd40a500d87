// What the demo shows: steps with their commands, what came of them, and how long each took.
import { styleText } from "node:util";

export class Stage {
  #steps = 0;

  say(text = ""): void {
    process.stdout.write(`${text}\n`);
  }

  heading(text: string): void {
    this.say(paint("bold", text));
  }

  /** Two columns. */
  facts(rows: readonly (readonly [string, string])[]): void {
    const width = Math.max(...rows.map(([name]) => name.length));
    for (const [name, text] of rows) this.say(`  ${name.padEnd(width)}  ${text}`);
  }

  command(text: string): void {
    this.say(`${paint("dim", "$")} ${paint("cyan", text)}`);
  }

  /** A command line to copy: without a prompt. */
  line(text: string): void {
    this.say(paint("cyan", text));
  }

  /**
   * Shows a step: what it is about, what a person would type, and what it prints.
   * @throws Error naming the step when it fails
   */
  async step(title: string, command: string, run: () => Promise<void>): Promise<void> {
    this.#steps++;
    this.say();
    this.heading(`${this.#steps}. ${title}`);
    this.command(command);
    const startedMs = performance.now();
    try {
      await run();
    } catch (error) {
      throw new Error(`Step ${this.#steps} failed: ${title}`, { cause: error });
    }
    this.say(paint("dim", `  (${Math.round(performance.now() - startedMs)} ms)`));
  }
}

function paint(style: "bold" | "dim" | "cyan", text: string): string {
  return styleText(style, text, { stream: process.stdout });
}
