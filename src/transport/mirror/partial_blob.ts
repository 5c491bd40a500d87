// A blob that is being fetched into the mirror: it goes on after a restart, on this machine or another one.
import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, rename, unlink } from "node:fs/promises";
import { systemCode } from "../../base/errors.ts";
import type { Layer } from "../../program/registry/manifest.ts";
import { absent, type HeldFolder } from "./held_folder.ts";
import { blobName } from "./layout.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;
const CHUNK_BYTES = 1 << 20;
/** Another fetcher that has written nothing for this long is gone. */
const LEFT_MS = 30_000;

export class PartialBlob implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #layer: Layer;
  #hash: Hash = createHash("sha256");
  #bytes = 0;
  #isOver = false;

  private constructor(file: FileHandle, path: string, layer: Layer) {
    this.#file = file;
    this.#path = path;
    this.#layer = layer;
  }

  /**
   * Opens what was fetched so far, or begins. Two that fetch the same write the same bytes: nothing is lost but bandwidth.
   * @param temporary held until the end
   * @returns null while somebody else fetches it
   */
  static async open(temporary: HeldFolder, layer: Layer): Promise<PartialBlob | null> {
    const name = partialName(layer);
    const mode = await temporary.fileMode();
    const [path, flags] = [temporary.at(name), O_RDWR | O_NOFOLLOW];
    const begun = await absent(open(path, flags | O_CREAT | O_EXCL, mode), ["EEXIST"]);
    // The other fetcher may have finished it at this very moment.
    const file = begun ?? ((await isLeft(temporary, name)) ? await absent(open(path, flags)) : null);
    if (file === null) return null;
    const partial = new PartialBlob(file, path, layer);
    try {
      if (begun !== null) await file.chmod(mode);
      else await partial.#readAgain();
      return partial;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** How much of it is there. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @returns false when there is more than the blob has */
  async append(chunk: Uint8Array): Promise<boolean> {
    if (this.#bytes + chunk.byteLength > this.#layer.bytes) return false;
    for (let at = 0; at < chunk.byteLength; ) {
      const { bytesWritten } = await this.#file.write(chunk, at, chunk.byteLength - at, this.#bytes + at);
      at += bytesWritten;
    }
    this.#hash.update(chunk);
    this.#bytes += chunk.byteLength;
    return true;
  }

  /**
   * Puts the whole blob in place, unless another fetcher of it has moved it away: look again whether it is there. Durable when
   * it resolves.
   * @returns false when its bytes are wrong: nothing is left of it
   */
  async finish(blobs: HeldFolder): Promise<boolean> {
    if (`sha256:${this.#hash.digest("hex")}` !== this.#layer.digest.toLowerCase()) {
      await this.discard();
      return false;
    }
    await this.#file.truncate(this.#layer.bytes);
    await this.#file.sync();
    await this.#move(blobs.at(blobName(this.#layer.digest)));
    this.#isOver = true;
    await blobs.sync();
    return true;
  }

  async discard(): Promise<void> {
    this.#isOver = true;
    await absent(unlink(this.#path));
  }

  /** An unfinished file looks left: the next fetcher need not wait. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#isOver) return;
      const leftAt = new Date((await this.#file.stat()).mtimeMs - LEFT_MS - 1000);
      await this.#file.utimes(leftAt, leftAt);
    } finally {
      await this.#file.close();
    }
  }

  async #move(target: string): Promise<void> {
    try {
      await rename(this.#path, target);
    } catch (error) {
      const isMoved = systemCode(error) === "ENOENT" && (await absent(lstat(this.#path))) === null;
      if (!isMoved) throw error;
    }
  }

  async #readAgain(): Promise<void> {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    while (this.#bytes < this.#layer.bytes) {
      const most = Math.min(buffer.length, this.#layer.bytes - this.#bytes);
      const { bytesRead } = await this.#file.read(buffer, 0, most, this.#bytes);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#bytes += bytesRead;
    }
  }
}

/** Of a blob that is being fetched, in `.tmp/`. */
export function partialName({ digest }: Layer): string {
  return `${blobName(digest)}-partial`;
}

/** By the share's own clock, which a file that is made now shows. */
async function isLeft(temporary: HeldFolder, name: string): Promise<boolean> {
  const probe = crypto.randomUUID();
  const file = await open(temporary.at(probe), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    const nowMs = (await file.stat()).mtimeMs;
    const found = await temporary.look(name);
    // Also of a time in the future, by a clock that was wrong: nobody would ever go on with it.
    return found === null || Math.abs(nowMs - found.modifiedAtMs) > LEFT_MS;
  } finally {
    await file.close();
    await absent(unlink(temporary.at(probe)));
  }
}
