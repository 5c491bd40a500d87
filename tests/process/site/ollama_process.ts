// An Ollama that can be killed and started again at its address, with its models: the simulated one, or the real one that
// OLLAMA_TEST_BINARY names.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { until } from "./site.ts";

const SIMULATION = join(import.meta.dir, "../../../sim/ollama/main.ts");
const Announced = z.object({ url: z.string() });

export class OllamaProcess {
  readonly modelsDir: string;
  readonly #home: string;
  readonly #entry: readonly string[];
  #port = 0;
  #child: Bun.Subprocess | undefined;

  /** @param dir its home directory @param entry what comes in front of its command line, to run it in a namespace */
  constructor(dir: string, entry: readonly string[] = []) {
    this.#home = dir;
    this.#entry = entry;
    this.modelsDir = join(dir, "models");
    mkdirSync(this.modelsDir);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it answers; a real one in a namespace may need another moment. */
  async start(): Promise<void> {
    const binary = process.env["OLLAMA_TEST_BINARY"];
    await (binary === undefined ? this.#startSimulation() : this.#startReal(binary));
  }

  /** Ends it as a crash would, without cleanup. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  async #startSimulation(): Promise<void> {
    const args = ["--port", String(this.#port), "--models", this.modelsDir];
    const child = Bun.spawn([...this.#entry, process.execPath, SIMULATION, ...args], {
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#child = child;
    const { value } = await child.stdout.getReader().read();
    this.#port = Number(new URL(Announced.parse(JSON.parse(new TextDecoder().decode(value))).url).port);
  }

  async #startReal(binary: string): Promise<void> {
    if (this.#port === 0) this.#port = freePort();
    const own = { HOME: this.#home, OLLAMA_MODELS: this.modelsDir, OLLAMA_HOST: this.url, OLLAMA_NO_CLOUD: "1" };
    this.#child = Bun.spawn([...this.#entry, binary, "serve"], {
      env: { PATH: process.env["PATH"], ...own },
      stdout: "ignore",
      stderr: "ignore",
    });
    // From outside a namespace nobody reaches it.
    if (this.#entry.length > 0) return;
    await until(async () => await isAnswering(this.url), "Ollama answers", 30_000);
  }
}

/** Another process may take it first; the simulation needs none. */
function freePort(): number {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port = 0 } = server;
  void server.stop(true);
  return port;
}

async function isAnswering(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}
