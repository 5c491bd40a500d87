// A legacy backend: writes version 1 commands in place on the server's side, and waits for lists only.
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Answer, type Command } from "./history.ts";

const LIST_WAIT_MS = 30_000;
const LOOK_MS = 100;
/** Of the kernel, which gives files their times. */
const TICK_MS = 10;

export class LegacyBackend {
  readonly #commands: string;
  readonly #status: string;
  /** By id, every version of the response that was seen. */
  readonly #answers = new Map<string, Answer[]>();
  readonly #seen = new Map<string, number>();
  readonly #stop = new AbortController();
  #looking: Promise<void> | undefined;

  /** @param server the share's folder on its server */
  constructor(server: string) {
    this.#commands = join(server, "gpu_commands");
    this.#status = join(server, "gpu_status");
  }

  start(): void {
    this.#looking = this.#look();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#looking;
  }

  /** The responses under the id of the command that are not older, and name no other model. */
  answersTo(command: Command): readonly Answer[] {
    const { model } = command;
    return this.responsesTo(command).filter(({ text }) => {
      const [named] = /\b\w+:latest\b/.exec(text) ?? [model];
      return model === null || named === model;
    });
  }

  responsesTo({ id, sentFromMs }: Command): readonly Answer[] {
    return (this.#answers.get(id) ?? []).filter(({ atMs }) => atMs >= sentFromMs - TICK_MS);
  }

  /**
   * Writes the command in place; of a list, waits for the response and removes both.
   * @param pauseMs how long the file is half written
   */
  async send(command: Command, id: string, pauseMs: number): Promise<void> {
    const { verb, model } = command;
    const name = model === null ? {} : { model_name: model };
    const text = JSON.stringify({ command: verb, command_id: id, timestamp: new Date().toISOString(), ...name });
    const path = this.#commandPath(id);
    command.id = id;
    command.sentFromMs = Date.now();
    command.isHalved = pauseMs > 0;
    try {
      await writeInPlace(path, text, pauseMs);
      command.publishedByMs = Date.now();
    } catch (error) {
      removeIfPossible(path);
      command.withdrawnAtMs = Date.now();
      command.end = { atMs: Date.now(), code: "unavailable", message: String(error) };
      return;
    }
    if (verb === "list_models") await this.#awaitList(command, path);
  }

  async #awaitList(command: Command, path: string): Promise<void> {
    const endMs = Date.now() + LIST_WAIT_MS;
    while (Date.now() < endMs) {
      if (this.answersTo(command).length > 0) {
        command.end = { atMs: Date.now(), code: "success", message: "" };
        removeIfPossible(path);
        removeIfPossible(join(this.#status, `${command.id}_response.json`));
        return;
      }
      await Bun.sleep(LOOK_MS);
    }
    command.end = { atMs: Date.now(), code: "deadline_exceeded", message: "no list" };
  }

  /** Collects the responses to version 1 commands as they appear. */
  async #look(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.lookOnce();
      await Bun.sleep(LOOK_MS);
    }
  }

  lookOnce(): void {
    for (const name of namesIn(this.#status)) {
      const id = /^([^.].*)_response\.json$/.exec(name)?.[1];
      if (id !== undefined) this.#note(id, join(this.#status, name));
    }
  }

  #note(id: string, path: string): void {
    try {
      const { mtimeMs } = statSync(path);
      if (this.#seen.get(id) === mtimeMs) return;
      const text = readFileSync(path, "utf8");
      this.#seen.set(id, mtimeMs);
      this.#answers.set(id, [...(this.#answers.get(id) ?? []), { atMs: mtimeMs, text }]);
    } catch {
      // It was removed or its folder was taken away just now: the next look shows it, if it is still there.
    }
  }

  #commandPath(id: string): string {
    return join(this.#commands, `${id}.json`);
  }
}

/** No names while the folder is away. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Read-only: a legacy backend would fail here, and leave it.
  }
}

async function writeInPlace(path: string, text: string, pauseMs: number): Promise<void> {
  const file = openSync(path, "w");
  try {
    const half = pauseMs > 0 ? Math.floor(text.length / 2) : text.length;
    writeSync(file, text.slice(0, half));
    if (pauseMs === 0) return;
    await Bun.sleep(pauseMs);
    writeSync(file, text.slice(half));
  } finally {
    closeSync(file);
  }
}
