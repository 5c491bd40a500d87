// Simulates the platform backend in production: its behavior on the share, faults included.
import { mkdirSync } from "node:fs";
import { readdir, readFile, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { naiveTime, pythonJson, writeInPlace } from "./python.ts";

export interface LegacyBackendOptions {
  readonly pollMs?: number;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/** Why a list ended as it did. For every reason but `answered` the platform gets an empty list. */
export type ListReason =
  | "answered"
  | "service_failed"
  | "timed_out"
  | "unparsable"
  /** The response was read, but the command file was gone: the exception loses the models. */
  | "command_gone"
  | "failed";

export interface ListOutcome {
  /** The list that the platform's page gets. */
  readonly models: unknown[];
  readonly reason: ListReason;
  readonly error: string | null;
  readonly id: string;
  readonly waitedMs: number;
  readonly polls: number;
}

export interface Liveness {
  readonly online: boolean;
  readonly lastSeenAt: string | null;
  readonly status: Record<string, unknown> | null;
}

const ALIVE_MS = 300_000;
const OFFLINE: Liveness = { online: false, lastSeenAt: null, status: null };

export class LegacyBackend {
  readonly #commands: string;
  readonly #status: string;
  readonly #pollMs: number;
  readonly #timeoutMs: number;
  readonly #clock: Clock;

  /** Creates the two folders if they are missing, as the original does when it is imported. */
  constructor(share: string, options: LegacyBackendOptions = {}) {
    this.#commands = join(share, "gpu_commands");
    this.#status = join(share, "gpu_status");
    this.#pollMs = options.pollMs ?? 1_000;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#clock = options.clock ?? systemClock;
    mkdirSync(this.#commands, { recursive: true });
    mkdirSync(this.#status, { recursive: true });
  }

  /** Never rejects: every failure gives an empty list. */
  async listModels(): Promise<ListOutcome> {
    const startedAt = this.#clock.monotonic();
    const id = this.#newId("list_models");
    const command = join(this.#commands, `${id}.json`);
    const response = join(this.#status, `${id}_response.json`);
    let polls = 0;
    const outcome = ({ models = [], reason, error = null }: Taken): ListOutcome => {
      return { models, reason, error, id, waitedMs: this.#clock.monotonic() - startedAt, polls };
    };
    try {
      this.#write(command, { command: "list_models", timestamp: this.#timestamp(), command_id: id });
      while (this.#clock.monotonic() - startedAt < this.#timeoutMs) {
        polls++;
        // The original asks for the exact name and never lists: on NFS the kernel then remembers "no such file" for
        // longer than the backend waits.
        if (await exists(response)) return outcome(await take(command, response));
        await this.#clock.sleep(this.#pollMs);
      }
      if (await exists(command)) await unlink(command);
      return outcome({ reason: "timed_out" });
    } catch (error) {
      return outcome({ reason: "failed", error: String(error) });
    }
  }

  /** @returns whether the command was written; its result is never read */
  pullModel(name: string): boolean {
    return this.#send("pull_model", name);
  }

  /** @returns whether the command was written; its result is never read */
  deleteModel(name: string): boolean {
    return this.#send("delete_model", name);
  }

  /** Compares the mtime of the newest `*_status.json` with this machine's own clock. */
  async isAlive(): Promise<Liveness> {
    try {
      const names = (await readdir(this.#status)).filter((name) => name.endsWith("_status.json"));
      let newest: { path: string; mtimeMs: number } | undefined;
      for (const name of names) {
        const path = join(this.#status, name);
        const { mtimeMs } = await stat(path);
        if (newest === undefined || mtimeMs > newest.mtimeMs) newest = { path, mtimeMs };
      }
      if (newest === undefined || this.#clock.now() - newest.mtimeMs >= ALIVE_MS) return OFFLINE;
      const status: Record<string, unknown> = JSON.parse(await readFile(newest.path, "utf8"));
      return { online: true, lastSeenAt: naiveTime(newest.mtimeMs), status };
    } catch {
      return OFFLINE;
    }
  }

  #send(command: string, model: string): boolean {
    const id = this.#newId(command);
    try {
      const fields = { command, model_name: model, timestamp: this.#timestamp(), command_id: id };
      this.#write(join(this.#commands, `${id}.json`), fields);
      return true;
    } catch {
      return false;
    }
  }

  #write(path: string, fields: object): void {
    writeInPlace(path, pythonJson(fields, "flat"));
  }

  /** One id per verb and second. A second call within the same second replaces the files of the first. */
  #newId(command: string): string {
    return `${command}_${Math.floor(this.#clock.now() / 1000)}`;
  }

  #timestamp(): string {
    return naiveTime(this.#clock.now());
  }
}

interface Taken {
  readonly models?: unknown[];
  readonly reason: ListReason;
  readonly error?: string | null;
}

/** Reads the response and removes both files, the command first. Any failure on the way loses the response. */
async function take(command: string, response: string): Promise<Taken> {
  let document: { success?: unknown; models?: object[]; error?: string } | null;
  try {
    document = JSON.parse(await readFile(response, "utf8"));
  } catch (error) {
    return { reason: "unparsable", error: String(error) };
  }
  try {
    await unlink(command);
  } catch (error) {
    return { reason: "command_gone", error: String(error) };
  }
  await unlink(response);
  if (typeof document !== "object" || document === null) return { reason: "failed", error: "not an object" };
  if (!document.success) return { reason: "service_failed", error: document.error ?? "Unknown error" };
  return { reason: "answered", models: (document.models ?? []).map(knownFields) };
}

function knownFields(model: object): unknown {
  return { name: "", size: 0, modified_at: "", digest: "", ...pick(model, ["name", "size", "modified_at", "digest"]) };
}

function pick(fields: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name)));
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
