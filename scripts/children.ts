// Processes that a script starts, follows by their output, and ends with itself.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./binaries.ts";

const WAIT_MS = 15_000;
/** An agent drains for 8 s at most. */
const FORCE_AFTER_MS = 10_000;

/** Those under way. A script that ends without stopping them, as at its time limit, must not leave them behind. */
const underWay = new Set<Bun.Subprocess>();
process.on("exit", () => {
  for (const each of underWay) each.kill("SIGKILL");
});

/** How a program is started from its sources. */
export function programCommand(program: "agent" | "server" | "client"): readonly string[] {
  return [process.execPath, join(ROOT, "src", `${program}.ts`)];
}

/** Runs one to its end, or until the signal aborts; it prints where this process prints. @returns its exit status */
export async function runInForeground(command: readonly string[], dir: string, signal: AbortSignal): Promise<number> {
  const child = Bun.spawn([...command], {
    cwd: dir,
    env: { ...cleanEnvironment(), XDG_CONFIG_HOME: dir },
    stdio: ["ignore", "inherit", "inherit"],
    signal,
  });
  return await child.exited;
}

/** One process under way in the background. What it prints, on either stream, is kept. */
export class Child {
  readonly #process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #reading: Promise<void>;
  readonly #logFile: string | undefined;
  #output = "";
  #isSilent = false;
  #heard = Promise.withResolvers<void>();

  /**
   * @param dir where it runs
   * @param logFile also gets what it prints
   */
  constructor(command: readonly string[], dir: string, logFile?: string) {
    this.#logFile = logFile;
    this.#process = Bun.spawn([...command], {
      cwd: dir,
      env: { ...cleanEnvironment(), XDG_CONFIG_HOME: dir },
      stdio: ["ignore", "pipe", "pipe"],
      onExit: (child) => void underWay.delete(child),
    });
    underWay.add(this.#process);
    this.#reading = this.#readAll();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /**
   * The first line with this text, as the JSON document that it is.
   * @throws Error with all it printed when it ends, or so long passes, before it
   */
  async line(text: string, waitMs = WAIT_MS): Promise<Record<string, unknown>> {
    const deadlineMs = performance.now() + waitMs;
    for (;;) {
      const lines = this.#output.split("\n").slice(0, -1);
      const found = lines.find((line) => line.includes(text));
      if (found !== undefined) return JSON.parse(found);
      if (this.#isSilent || performance.now() > deadlineMs)
        throw new Error(`No "${text}" from process ${this.pid}, which printed:\n${this.#output}`);
      await Promise.race([this.#heard.promise, Bun.sleep(100)]);
    }
  }

  /** Waits until it ended by itself. @returns its exit status and what it printed */
  async finished(): Promise<{ status: number; output: string }> {
    await this.#reading;
    return { status: await this.#process.exited, output: this.#output };
  }

  /** Ends it as an operator does; after 10 s by force. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    const force = setTimeout(() => this.#process.kill("SIGKILL"), FORCE_AFTER_MS);
    await this.#process.exited;
    clearTimeout(force);
  }

  async #readAll(): Promise<void> {
    await Promise.all([this.#read(this.#process.stdout), this.#read(this.#process.stderr)]);
    this.#isSilent = true;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      if (this.#logFile !== undefined) appendFileSync(this.#logFile, chunk);
      this.#output += decoder.decode(chunk, { stream: true });
      const { resolve } = this.#heard;
      this.#heard = Promise.withResolvers();
      resolve();
    }
  }
}

/** This environment without what would set the entry points' flags. */
function cleanEnvironment(): Record<string, string | undefined> {
  const own = Object.entries(process.env).filter(([name]) => !/^(?:GPU_COURIER_|OLLAMA_|STATE_DIRECTORY$)/.test(name));
  // Models are simulated: no real registry is asked for their sizes.
  return { ...Object.fromEntries(own), GPU_COURIER_PREFLIGHT: "off" };
}
