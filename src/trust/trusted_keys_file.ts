// A file of public keys, such as the `trusted_keys` of a box: read at the start, and again whenever it changes.
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { isoTime } from "../base/clock.ts";
import { CourierError, systemCode } from "../base/errors.ts";
import { fileFault, placeFault, placeVersion, ROOT } from "./file_safety.ts";
import { publicLine } from "./keys.ts";
import { parseTrustedKeys, type TrustedKey } from "./trusted_keys.ts";

const MAX_BYTES = 256 * 1024;

/** What the keys of a file are for. */
export interface KeysUse {
  /** As people call them: `trusted keys`. */
  readonly name: string;
  /** The user of the program that reads it: `the agent's`. */
  readonly user: string;
  readonly hint: string;
  /** @throws CourierError `invalid` with the line */
  parse(text: string): ReadonlyMap<string, TrustedKey>;
}

const SENDERS: KeysUse = {
  name: "trusted keys",
  user: "the agent's",
  hint: "Each line is the output of `gpu-server key` or `gpuctl key`. The agent reads the file again when it changes",
  parse: parseTrustedKeys,
};

/** A FIFO without a writer would block. */
const { O_NONBLOCK, O_RDONLY } = constants;

export class TrustedKeysFile {
  readonly #path: string;
  readonly #user: number;
  readonly #use: KeysUse;
  #keys: ReadonlyMap<string, TrustedKey> = new Map();
  #trouble: CourierError | null = null;
  /** Equal while the file is the same. */
  #version = "";

  /** @param user the user of the program, who may own the file as root may; by default that of this process */
  constructor(path: string, user: number = process.getuid?.() ?? ROOT, use: KeysUse = SENDERS) {
    this.#path = path;
    this.#user = user;
    this.#use = use;
    this.look();
  }

  /** Why no key is trusted now; null when the file can be used. */
  get trouble(): CourierError | null {
    return this.#trouble;
  }

  get count(): number {
    return this.#keys.size;
  }

  /** The key as the file has it now; undefined when it is not there, or the file cannot be used. */
  find(id: string): TrustedKey | undefined {
    this.look();
    return this.#keys.get(id);
  }

  /** The keys as lines of such a file, without verbs. @throws CourierError `unavailable` when the file cannot be used */
  lines(): readonly string[] {
    this.look();
    if (this.#trouble !== null) throw this.#trouble;
    return [...this.#keys.values()].map((key) => {
      const end = key.endsAtMs === null ? "" : ` not-after=${isoTime(key.endsAtMs - 1).slice(0, "2027-06-01".length)}`;
      return `${publicLine(key, key.comment).trimEnd()}${end}`;
    });
  }

  /** Reads the file again if it has changed. Cheap if it has not. Never throws: a failure becomes `trouble`. */
  look(): void {
    let version = "";
    try {
      const file = openSync(this.#path, O_RDONLY | O_NONBLOCK);
      try {
        const facts = fstatSync(file, { bigint: true });
        const { dev, ino, size, mtimeNs, ctimeNs } = facts;
        version = [dev, ino, size, mtimeNs, ctimeNs, placeVersion(this.#path)].join(" ");
        if (version === this.#version) return;
        this.#keys = this.#read(file, facts);
        this.#trouble = null;
      } finally {
        closeSync(file);
      }
    } catch (error) {
      this.#keys = new Map();
      this.#trouble = unusable(this.#path, this.#use, error);
    }
    this.#version = version;
  }

  #read(file: number, facts: BigIntStats): ReadonlyMap<string, TrustedKey> {
    if (!facts.isFile()) throw new CourierError("invalid", "it is not a regular file");
    this.#requireSafe(facts);
    const bytes = Buffer.alloc(MAX_BYTES + 1);
    const count = readSync(file, bytes, 0, bytes.length, 0);
    if (count > MAX_BYTES) throw new CourierError("invalid", `it is larger than ${MAX_BYTES / 1024} KiB`);
    const keys = this.#use.parse(bytes.toString("utf8", 0, count));
    if (keys.size === 0) throw new CourierError("invalid", "it has no key");
    return keys;
  }

  /** A user who can write to the file, or replace it, decides whose commands run. */
  #requireSafe(facts: BigIntStats): void {
    const { user } = this.#use;
    const fault = fileFault(this.#path, facts, this.#user, user) ?? placeFault(this.#path, this.#user, user);
    if (fault !== null) throw new CourierError("invalid", fault.reason, { hint: fault.hint });
  }
}

function unusable(path: string, { name, hint }: KeysUse, cause: unknown): CourierError {
  const reason = cause instanceof CourierError ? cause.message : (systemCode(cause) ?? String(cause));
  const ownHint = cause instanceof CourierError ? cause.hint : undefined;
  return new CourierError("unavailable", `Cannot use the ${name} in ${path}: ${reason}`, {
    hint: ownHint ?? hint,
    cause,
  });
}
