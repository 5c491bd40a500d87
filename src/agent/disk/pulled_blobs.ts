// What Ollama has on disk of a pull: how much, whether it still writes there, and whether it is what it should be.
// Imports node:fs, node:crypto, clock, errors.
import { createHash } from "node:crypto";
import { createReadStream, statSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { systemCode } from "../../base/errors.ts";

/** Whether Ollama was seen to have stopped writing; `unseen`: its folder cannot be looked at. */
export type Stopped = "stopped" | "growing" | "unseen";

const LOOK_MS = 200;
/** Nothing written for this long, with its connection closed: Ollama has stopped. */
const QUIET_MS = 1000;
/** It stops within half a second; who writes for longer does it for somebody else. */
const LIMIT_MS = 5000;

export class PulledBlobs {
  readonly #modelsDir: () => string | undefined;
  readonly #clock: Clock;

  /** @param modelsDir where Ollama keeps its models; undefined: unknown */
  constructor(modelsDir: () => string | undefined, clock: Clock) {
    this.#modelsDir = modelsDir;
    this.#clock = clock;
  }

  /**
   * What lies on disk of these layers, by allocated blocks: unfinished files are sparse, of full length from the start.
   * @param digests as a manifest names them, `sha256:` and hex
   * @returns bytes; null when none of it can be seen
   */
  bytes(digests: readonly string[]): number | null {
    const files = this.#look(digests);
    if (files === null) return null;
    return files.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0);
  }

  /** Watches until nothing of these layers has been written for a second, at most 5 s. */
  async untilStopped(digests: readonly string[]): Promise<Stopped> {
    const beganAtMs = this.#clock.monotonic();
    let seen = "";
    for (let quietSinceMs = beganAtMs; ; ) {
      const files = this.#look(digests);
      if (files === null) return "unseen";
      const now = files
        .map(({ name, writtenAtMs, allocatedBytes }) => `${name} ${writtenAtMs} ${allocatedBytes}`)
        .join();
      const nowMs = this.#clock.monotonic();
      if (now !== seen) quietSinceMs = nowMs;
      seen = now;
      if (nowMs - quietSinceMs >= QUIET_MS) return "stopped";
      if (nowMs - beganAtMs >= LIMIT_MS) return "growing";
      await this.#clock.sleep(LOOK_MS);
    }
  }

  /**
   * Reads whole layers again, and finds those whose bytes are not their digest's. What cannot be read is not found wrong.
   * @returns of those given, once all were read or the signal aborted
   */
  async wrong(digests: readonly string[], signal: AbortSignal): Promise<string[]> {
    const dir = this.#modelsDir();
    const wrong: string[] = [];
    for (const digest of digests) {
      if (dir === undefined || signal.aborted || !DIGEST.test(digest)) continue;
      const found = await digestOf(join(dir, "blobs", digest.replace(":", "-")), signal);
      if (found !== null && found !== digest) wrong.push(digest);
    }
    return wrong;
  }

  /** The files of these layers, whole or not; null when there is none or it cannot be looked at. */
  #look(digests: readonly string[]): BlobFile[] | null {
    const dir = this.#modelsDir();
    if (dir === undefined) return null;
    const names = digests.filter((digest) => DIGEST.test(digest)).map((digest) => digest.replace(":", "-"));
    try {
      const files = names.flatMap((name) => [name, `${name}-partial`]).flatMap((name) => blobFile(dir, name) ?? []);
      return files.length === 0 ? null : files;
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      return null;
    }
  }
}

/** Becomes a file's name. */
const DIGEST = /^sha256:[0-9a-f]{64}$/;

interface BlobFile {
  readonly name: string;
  readonly writtenAtMs: number;
  readonly allocatedBytes: number;
}

const READ_BYTES = 1024 * 1024;
/** A block, as `stat` counts them, whatever the file system's own are. */
const BLOCK_BYTES = 512;

function blobFile(modelsDir: string, name: string): BlobFile | undefined {
  const found = statSync(join(modelsDir, "blobs", name), { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  return { name, writtenAtMs: found.mtimeMs, allocatedBytes: found.blocks * BLOCK_BYTES };
}

/** Null when it cannot be read to its end. */
async function digestOf(path: string, signal: AbortSignal): Promise<string | null> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path, { signal, highWaterMark: READ_BYTES })) hash.update(chunk);
  } catch (error) {
    if (systemCode(error) === undefined && !signal.aborted) throw error;
    return null;
  }
  return `sha256:${hash.digest("hex")}`;
}
