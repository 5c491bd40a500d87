// The known agents of gpuctl: one file in a person's own folder, which several gpuctl share.
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { CourierError, systemCode } from "../../base/errors.ts";
import { parseJson } from "../../base/foreign_text.ts";
import { AgentName } from "../../protocol.ts";
import { isVisible } from "../key_file.ts";
import { replaceFile } from "../replace_file.ts";
import { FileLock } from "./file_lock.ts";
import { KEY_STATUSES, type KnownAgent } from "./known_agent.ts";
import { type Changes, isEmpty, type KnownAgentsStore, merged } from "./store.ts";

const Agents = z.record(
  AgentName,
  z.object({
    // By its form only: to make keys of thousands takes a part of a second, at each start.
    key: z
      .string()
      .regex(/^[A-Za-z0-9+/]{43}=$/, "must be the base64 of a key")
      .nullable(),
    status: z.enum(KEY_STATUSES),
    boot: z.int().nonnegative(),
    sequence: z.int().nonnegative(),
  }),
);
const Shares = z.object({ version: z.literal(1), shares: z.record(z.string(), Agents) });

const MAX_BYTES = 16 * 1024 * 1024;

export class KnownAgentsFile implements KnownAgentsStore {
  readonly #path: string;
  readonly #share: string;

  /** @param share its address: the same name on another share is another agent */
  constructor(path: string, share: string) {
    this.#path = path;
    this.#share = share;
  }

  /**
   * The agents of the share. Empty when there is no file, or its folder is another user's, as after `sudo -u`.
   * @throws CourierError `invalid` when the file is damaged; `forbidden` when it may not be read
   */
  read(): ReadonlyMap<string, KnownAgent> {
    return this.#readShares().get(this.#share) ?? new Map();
  }

  #readShares(): Map<string, ReadonlyMap<string, KnownAgent>> {
    const text = this.#readText();
    if (text === null) return new Map();
    const parsed = Shares.safeParse(parseJson(text));
    if (parsed.success)
      return new Map(
        Object.entries(parsed.data.shares).map(([share, agents]) => [share, new Map(Object.entries(agents))]),
      );
    const [issue] = parsed.error.issues;
    throw this.#damaged(`${issue?.path.join(".") || "the whole"}: ${issue?.message ?? "not valid"}`);
  }

  /**
   * Merges the changes with what another gpuctl wrote meanwhile.
   * @throws CourierError as `read()`; `forbidden` when the file may not be written
   */
  write(changes: Changes): void {
    if (isEmpty(changes)) return;
    const lock = new FileLock(`${this.#path}.lock`);
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      lock.take();
    } catch (error) {
      throw this.#denied("write", error);
    }
    try {
      const shares = this.#readShares();
      this.#replace(shares.set(this.#share, merged(shares.get(this.#share) ?? new Map(), changes)));
    } catch (error) {
      throw error instanceof CourierError ? error : this.#denied("write", error);
    } finally {
      lock.release();
    }
  }

  #readText(): string | null {
    try {
      if (!isVisible(this.#path)) return null;
      if (statSync(this.#path).size > MAX_BYTES) throw this.#damaged(`larger than ${MAX_BYTES / 1024} KiB`);
      return readFileSync(this.#path, "utf8");
    } catch (error) {
      if (error instanceof CourierError) throw error;
      throw this.#denied("read", error);
    }
  }

  #replace(shares: ReadonlyMap<string, ReadonlyMap<string, KnownAgent>>): void {
    const entries = [...shares].map(([share, agents]) => [share, Object.fromEntries(agents)]);
    const text = `${JSON.stringify({ version: 1, shares: Object.fromEntries(entries) })}\n`;
    replaceFile(this.#path, text, `${this.#path}.${process.pid}.new`);
  }

  #damaged(reason: string): CourierError {
    return new CourierError("invalid", `Cannot use the agents' keys in ${this.#path}: ${reason}`, {
      hint: `Restore the file, or remove it: the keys are then learned again. gpuctl trust shows them`,
    });
  }

  #denied(action: "read" | "write", cause: unknown): CourierError {
    const message = `Cannot ${action} the agents' keys in ${this.#path}: ${systemCode(cause) ?? String(cause)}`;
    return new CourierError("forbidden", message, { hint: "Run as the owner of its folder", cause });
  }
}
