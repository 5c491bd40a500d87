// The `trusted_keys` file of a box: read when the agent starts, and again whenever it changes.
import { readFileSync, statSync } from "node:fs";
import { CourierError, systemCode } from "../base/errors.ts";
import { parseTrustedKeys, type TrustedKey } from "./trusted_keys.ts";

const MAX_BYTES = 256 * 1024;

const HINT =
  "Each line is the output of `gpu-server key` or `gpuctl key`. The agent reads the file again when it changes";

export class TrustedKeysFile {
  readonly #path: string;
  #keys: ReadonlyMap<string, TrustedKey> = new Map();
  #trouble: CourierError | null = null;
  /** Equal while the file is the same. */
  #version = "";

  constructor(path: string) {
    this.#path = path;
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

  /** Reads the file again if it has changed. Cheap if it has not. Never throws: a failure becomes `trouble`. */
  look(): void {
    let version = "";
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = this.#facts();
      version = [dev, ino, size, mtimeNs, ctimeNs].join(" ");
      if (version === this.#version) return;
      this.#keys = this.#read();
      this.#trouble = null;
    } catch (error) {
      this.#keys = new Map();
      this.#trouble = unusable(this.#path, error);
    }
    this.#version = version;
  }

  #facts() {
    const facts = statSync(this.#path, { bigint: true });
    if (!facts.isFile()) throw new CourierError("invalid", "it is not a regular file");
    if (facts.size > MAX_BYTES) throw new CourierError("invalid", `it is larger than ${MAX_BYTES / 1024} KiB`);
    return facts;
  }

  #read(): ReadonlyMap<string, TrustedKey> {
    const keys = parseTrustedKeys(readFileSync(this.#path, "utf8"));
    if (keys.size === 0) throw new CourierError("invalid", "it has no key");
    return keys;
  }
}

function unusable(path: string, cause: unknown): CourierError {
  const reason = cause instanceof CourierError ? cause.message : (systemCode(cause) ?? String(cause));
  return new CourierError("unavailable", `Cannot use the trusted keys in ${path}: ${reason}`, { hint: HINT, cause });
}
