// Processes that a script starts, follows by their output, and ends with itself. Imports nothing but Bun.
import { join } from "node:path";
import { ROOT } from "./binaries.ts";

const PATIENCE_MS = 15_000;

/** How a face is started from its sources. */
export function faceCommand(face: "agent" | "server" | "client"): readonly string[] {
  return [process.execPath, join(ROOT, "src", `${face}.ts`)];
}

/** One process under way. What it prints, on either stream, is kept. */
export class Child {
  readonly #process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #reading: Promise<unknown>;
  #output = "";
  #heard = Promise.withResolvers<void>();

  /** @param dir where it runs */
  constructor(command: readonly string[], dir: string) {
    this.#process = Bun.spawn([...command], {
      cwd: dir,
      env: cleanEnvironment(),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const ended = Promise.all([this.#read(this.#process.stdout), this.#read(this.#process.stderr)]);
    this.#reading = ended.finally(() => this.#heard.resolve());
  }

  get pid(): number {
    return this.#process.pid;
  }

  get output(): string {
    return this.#output;
  }

  /**
   * The first line with this text, as the JSON document that it is.
   * @throws Error with all it printed when it ends, or is silent for 15 s, before it
   */
  async line(text: string): Promise<Record<string, unknown>> {
    const timeout = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      const line = this.#output
        .split("\n")
        .slice(0, -1)
        .find((each) => each.includes(text));
      if (line !== undefined) return JSON.parse(line);
      if (this.#process.exitCode !== null || timeout.aborted)
        throw new Error(`No "${text}" from ${this.#process.pid}, which printed:\n${this.#output}`);
      await Promise.race([this.#heard.promise, this.#process.exited, Bun.sleep(PATIENCE_MS)]);
    }
  }

  /** Waits until it ended by itself. @returns its exit status */
  async ended(): Promise<number> {
    await this.#reading;
    return await this.#process.exited;
  }

  /** Ends it as an operator does; after 10 s by force. @returns its exit status */
  async stop(): Promise<number> {
    this.#process.kill("SIGTERM");
    const force = setTimeout(() => this.#process.kill("SIGKILL"), 10_000);
    const status = await this.#process.exited;
    clearTimeout(force);
    return status;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.#output += decoder.decode(chunk, { stream: true });
      const { resolve } = this.#heard;
      this.#heard = Promise.withResolvers();
      resolve();
    }
  }
}

/** This environment without what would set the faces' flags. */
function cleanEnvironment(): Record<string, string | undefined> {
  const own = Object.entries(process.env).filter(([name]) => !/^(?:GPU_COURIER_|OLLAMA_|STATE_DIRECTORY$)/.test(name));
  return Object.fromEntries(own);
}
