// What Ollama has on disk of a pull: how much, whether it still writes there, and whether the bytes are right.
import type { Clock } from "../../base/clock.ts";
import { type BlobFile, blobFiles, readDigest } from "./blob_files.ts";
import type { ModelsFolder } from "./models_folder.ts";

/** Whether Ollama was seen to have stopped writing; `unseen`: its folder cannot be read. */
export type Stopped = "stopped" | "growing" | "unseen";

const LOOK_MS = 200;
/** Nothing written for this long, with its connection closed: Ollama has stopped. */
const QUIET_MS = 1000;
/** Ollama stops within half a second; if it writes for longer, somebody else is pulling too. */
const LIMIT_MS = 5000;

export class PulledBlobs {
  readonly #folder: Pick<ModelsFolder, "inBlobs">;
  readonly #clock: Clock;

  constructor(folder: Pick<ModelsFolder, "inBlobs">, clock: Clock) {
    this.#folder = folder;
    this.#clock = clock;
  }

  /**
   * How much of these layers is on disk, by allocated blocks: unfinished files are sparse.
   * @param digests as a manifest names them, `sha256:` and hex
   * @returns bytes; null when none of it can be seen
   */
  async bytes(digests: readonly string[]): Promise<number | null> {
    const files = await this.#files(digests);
    if (files === null) return null;
    return files.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0);
  }

  /** Watches until nothing of these layers has been written for a second, at most 5 s. */
  async untilStopped(digests: readonly string[]): Promise<Stopped> {
    const beganAtMs = this.#clock.monotonic();
    let seen = "";
    for (let quietSinceMs = beganAtMs; ; ) {
      const files = await this.#files(digests);
      if (files === null) return "unseen";
      const now = JSON.stringify(files);
      const nowMs = this.#clock.monotonic();
      if (now !== seen) quietSinceMs = nowMs;
      seen = now;
      if (nowMs - quietSinceMs >= QUIET_MS) return "stopped";
      if (nowMs - beganAtMs >= LIMIT_MS) return "growing";
      await this.#clock.sleep(LOOK_MS);
    }
  }

  /**
   * Reads whole layers again, and finds those whose bytes do not match their digest. A layer that cannot be read is not
   * reported.
   * @returns some of those given, once all were read or the signal aborted
   */
  async wrong(digests: readonly string[], signal: AbortSignal): Promise<string[]> {
    // Reading may take minutes: only finding the folder has a limit.
    const blobs = await this.#folder.inBlobs(async (path) => await Promise.resolve(path));
    const wrong: string[] = [];
    for (const digest of digests) {
      if (blobs === null || signal.aborted) break;
      const found = await readDigest(blobs, digest, signal);
      if (found !== null && found !== digest) wrong.push(digest);
    }
    return wrong;
  }

  /** The files of these layers, whole or not; null when nothing is there, or it cannot be read. */
  async #files(digests: readonly string[]): Promise<BlobFile[] | null> {
    if (digests.length === 0) return null;
    const files = await this.#folder.inBlobs(async (blobs) => {
      const found: BlobFile[] = [];
      for (const digest of digests) found.push(...(await blobFiles(blobs, digest)));
      return found;
    });
    return files === null || files.length === 0 ? null : files;
  }
}
