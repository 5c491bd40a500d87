// Simulates the GPU service in production: its behavior on the share, faults included.
import { mkdirSync, readdirSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { PythonOllamaClient } from "./ollama.ts";
import { naiveTime, pythonJson, writeInPlace } from "./python.ts";

export interface LegacyServiceOptions {
  /** The pause between two rounds. A round runs the commands, then writes the status. */
  readonly pollMs?: number;
  /** Blocks the process while a file is empty and while it is half-written. Only for a service in its own process. */
  readonly writeGapMs?: number;
  readonly clock?: Clock;
  /** Called for each event that the original logs. */
  readonly onEvent?: (event: LegacyServiceEvent) => void;
}

export type LegacyServiceEvent =
  | { readonly event: "answered"; readonly file: string; readonly id: string | null; readonly success: boolean }
  | { readonly event: "command_failed"; readonly file: string; readonly error: string }
  | { readonly event: "pull_ended"; readonly model: string; readonly error: string | null };

const MAX_HANDLED = 100;
const KEPT_HANDLED = 50;

type Fields = Record<string, unknown>;

export class LegacyService {
  readonly #commands: string;
  readonly #status: string;
  readonly #pollMs: number;
  readonly #gap: () => void;
  readonly #clock: Clock;
  readonly #onEvent: (event: LegacyServiceEvent) => void;
  readonly #stopped = new AbortController();
  readonly #ollama: PythonOllamaClient;
  readonly #pulls = new Set<Promise<void>>();
  /** Names of files, in memory only: a new instance runs every remaining command again. */
  #handled = new Set<string>();
  #loop: Promise<void> | undefined;

  constructor(share: string, ollamaUrl: string, options: LegacyServiceOptions = {}) {
    this.#commands = join(share, "gpu_commands");
    this.#status = join(share, "gpu_status");
    this.#pollMs = options.pollMs ?? 5_000;
    const gapMs = options.writeGapMs ?? 0;
    this.#gap = () => (gapMs > 0 ? Bun.sleepSync(gapMs) : undefined);
    this.#clock = options.clock ?? systemClock;
    this.#onEvent = options.onEvent ?? (() => {});
    this.#ollama = new PythonOllamaClient(ollamaUrl, this.#stopped.signal);
  }

  /** Creates the two folders and starts. The first round is running when it returns. */
  start(): void {
    mkdirSync(this.#commands, { recursive: true });
    mkdirSync(this.#status, { recursive: true });
    this.#loop ??= this.#run();
  }

  /** Ends it like a kill: no further responses, and running pulls are cut off. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
    await Promise.all(this.#pulls);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await this.#attempt(async () => await this.#runCommands());
      await this.#attempt(async () => await this.#writeStatus());
      await this.#clock.sleep(this.#pollMs, signal);
    }
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      if (!this.#stopped.signal.aborted) this.#onEvent({ event: "command_failed", file: "", error: messageOf(error) });
    }
  }

  async #runCommands(): Promise<void> {
    // The original's variable survives the iteration. The error for a file that does not parse is written under the id
    // of the file before it, over its response, or is not written at all when the file comes first.
    let command: unknown;
    for (const file of readdirSync(this.#commands).filter((name) => name.endsWith(".json"))) {
      this.#stopped.signal.throwIfAborted();
      const path = join(this.#commands, file);
      if (this.#handled.has(file)) {
        removeQuietly(path);
        continue;
      }
      try {
        command = JSON.parse(readFileSync(path, "utf8"));
        const response = await this.#execute(command);
        this.#finish(file, path, field(command, "command_id"), response);
      } catch (error) {
        this.#stopped.signal.throwIfAborted();
        this.#onEvent({ event: "command_failed", file, error: messageOf(error) });
        // For JSON that is not an object this throws too, which ends the round for every later file.
        if (command !== undefined) this.#respond(field(command, "command_id"), this.#failure(messageOf(error)));
      }
    }
  }

  /** Synchronous, as in the original: no other code of the process sees the response while the command exists. */
  #finish(file: string, path: string, id: unknown, response: Fields): void {
    this.#stopped.signal.throwIfAborted();
    this.#respond(id, response);
    this.#handled.add(file);
    removeQuietly(path);
    if (this.#handled.size > MAX_HANDLED) this.#handled = new Set([...this.#handled].slice(-KEPT_HANDLED));
    const success = response["success"] === true;
    this.#onEvent({ event: "answered", file, id: typeof id === "string" ? id : null, success });
  }

  async #execute(command: unknown): Promise<Fields> {
    const verb = field(command, "command");
    try {
      if (verb === "list_models") return this.#success({ models: await this.#ollama.list() });
      if (verb !== "pull_model" && verb !== "delete_model") return this.#failure(`Unknown command: ${text(verb)}`);
      const model = field(command, "model_name");
      if (typeof model !== "string" || model === "") return this.#failure("Model name is required");
      if (verb === "pull_model") {
        this.#pullInBackground(model);
        return this.#success({ message: `Started pulling model ${model}` });
      }
      await this.#ollama.delete(model);
      return this.#success({ message: `Successfully deleted model ${model}` });
    } catch (error) {
      return this.#failure(messageOf(error));
    }
  }

  /** Only the log shows how the pull ends. */
  #pullInBackground(model: string): void {
    const pull = this.#ollama.pull(model).then(
      () => this.#onEvent({ event: "pull_ended", model, error: null }),
      (error: unknown) => this.#onEvent({ event: "pull_ended", model, error: messageOf(error) }),
    );
    this.#pulls.add(pull);
    void pull.finally(() => this.#pulls.delete(pull));
  }

  /** Without an id there is no response. Slashes in an id are followed, wherever they lead. */
  #respond(id: unknown, response: Fields): void {
    if (id === undefined || id === null || id === "") return;
    try {
      writeInPlace(`${this.#status}/${text(id)}_response.json`, pythonJson(response, "indented"), this.#gap);
    } catch (error) {
      this.#onEvent({ event: "command_failed", file: text(id), error: messageOf(error) });
    }
  }

  async #writeStatus(): Promise<void> {
    const available = await this.#ollama.list().then(
      () => true,
      () => false,
    );
    this.#stopped.signal.throwIfAborted();
    const status = {
      timestamp: this.#timestamp(),
      status: "running",
      processed_commands: this.#handled.size,
      ollama_available: available,
    };
    writeInPlace(join(this.#status, "gpu_status.json"), pythonJson(status, "indented"), this.#gap);
  }

  #success(fields: Fields): Fields {
    return { success: true, ...fields, timestamp: this.#timestamp() };
  }

  #failure(error: string): Fields {
    return { success: false, error, timestamp: this.#timestamp() };
  }

  #timestamp(): string {
    return naiveTime(this.#clock.now());
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The sender was faster.
  }
}

function field(command: unknown, name: string): unknown {
  if (typeof command === "object" && command !== null && !Array.isArray(command)) {
    return Object.entries(command).find(([key]) => key === name)?.[1];
  }
  throw new Error(`'${Array.isArray(command) ? "list" : typeof command}' object has no attribute 'get'`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A JSON value as a Python f-string formats it. */
function text(value: unknown): string {
  if (value === undefined || value === null) return "None";
  return typeof value === "string" ? value : JSON.stringify(value);
}
