// Brings a model into the mirror from its registry: resumed after a failure or a restart, verified, the manifest last.
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { ModelName } from "../../base/model_name.ts";
import { type Layer, parseManifest } from "../../program/registry/manifest.ts";
import { mirrorFailure } from "./failures.ts";
import { HeldFolder } from "./held_folder.ts";
import { BLOBS, MIRROR, TEMPORARY } from "./layout.ts";
import type { Mirror } from "./mirror.ts";
import { PartialBlob } from "./partial_blob.ts";
import type { RegistrySource } from "./registry_source.ts";
import { type RoomOf, requireRoom } from "./room.ts";
import { addManifest, WrongBlob } from "./writing.ts";

export interface FetchingDeps {
  readonly mirror: Mirror;
  readonly source: Pick<RegistrySource, "readManifest" | "readBlob">;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called as it gets further. Must not throw. */
  readonly onProgress: (progress: Fetched) => void;
  /** For tests: what the share has free. */
  readonly roomOf?: RoomOf;
}

export interface Fetched {
  /** Of the whole model, with what the mirror had already. */
  readonly completedBytes: number;
  readonly totalBytes: number;
  /** That came from the registry. */
  readonly receivedBytes: number;
}

/** Failures in a row without a new byte. */
const MAX_FAILURES = 6;
const FIRST_PAUSE_MS = 1000;
/** How often it is looked whether another fetcher has finished, or is gone. */
const LOOK_MS = 2000;

/**
 * @returns what was fetched, once the model is there whole
 * @throws CourierError `not_found`, `forbidden`, `unavailable`, `exhausted`, `cancelled`: what was fetched so far is kept for
 * the next attempt; `WrongBlob` when the registry sends wrong bytes twice
 */
export async function fetchModel(name: ModelName, deps: FetchingDeps): Promise<Fetched> {
  const { mirror, source, signal } = deps;
  const text = await source.readManifest(name, signal);
  const manifest = parseManifest(text);
  if (manifest === null) throw new CourierError("unavailable", `${name.host} sends a manifest that cannot be read`);
  const missing = await mirror.missing(manifest.layers);
  const progress = new Progress(manifest.totalBytes, manifest.totalBytes - sizeOf(missing), deps.onProgress);
  try {
    await using share = await HeldFolder.openRoot(mirror.share);
    await using temporary = await share.makeFolder(MIRROR, TEMPORARY);
    await using blobs = await share.makeFolder(MIRROR, BLOBS);
    await requireRoom({ mirror, name, missing, temporary, roomOf: deps.roomOf });
    // mirror rm of another model may have removed some that were present.
    for (let wanted = missing; wanted.length > 0; wanted = await mirror.missing(manifest.layers)) {
      progress.reach(manifest.totalBytes - sizeOf(wanted));
      for (const layer of wanted) await new BlobFetch(name, layer, { temporary, blobs }, progress, deps).run();
    }
  } catch (error) {
    throw writeFailure(mirror, error);
  }
  await addManifest(mirror, name, text);
  return progress.fetched;
}

function sizeOf(layers: readonly Layer[]): number {
  return layers.reduce((sum, { bytes }) => sum + bytes, 0);
}

interface Folders {
  readonly temporary: HeldFolder;
  readonly blobs: HeldFolder;
}

class BlobFetch {
  readonly #name: ModelName;
  readonly #layer: Layer;
  readonly #folders: Folders;
  readonly #progress: Progress;
  readonly #deps: FetchingDeps;

  constructor(name: ModelName, layer: Layer, folders: Folders, progress: Progress, deps: FetchingDeps) {
    this.#name = name;
    this.#layer = layer;
    this.#folders = folders;
    this.#progress = progress;
    this.#deps = deps;
  }

  /** Ends when the blob is there, also when somebody else has fetched it. */
  async run(): Promise<void> {
    const { mirror, clock, signal } = this.#deps;
    const doneBytes = this.#progress.completedBytes;
    for (let wrong = 0; ; ) {
      requireWanted(signal);
      if ((await mirror.missing([this.#layer])).length === 0) break;
      await using partial = await PartialBlob.open(this.#folders.temporary, this.#layer);
      if (partial === null) {
        await clock.sleep(LOOK_MS, signal);
        continue;
      }
      // Another fetcher may have finished between the look and the opening, which then began again.
      if (partial.bytes === 0 && (await mirror.missing([this.#layer])).length === 0) {
        await partial.discard();
        break;
      }
      this.#progress.reach(doneBytes + partial.bytes);
      if ((await this.#fill(partial)) && (await partial.finish(this.#folders.blobs))) continue;
      await partial.discard();
      if (++wrong > 1) throw new WrongBlob(this.#layer.digest, `${this.#name.host} sends wrong bytes`);
      this.#progress.reach(doneBytes);
    }
    this.#progress.reach(doneBytes + this.#layer.bytes);
  }

  /** Asks again from where it broke off. @returns false when there is more than the blob has */
  async #fill(partial: PartialBlob): Promise<boolean> {
    const { source, clock, signal } = this.#deps;
    for (let failures = 0; partial.bytes < this.#layer.bytes; ) {
      const before = partial.bytes;
      try {
        for await (const chunk of source.readBlob(this.#name, this.#layer, before, signal)) {
          if (!(await partial.append(chunk))) return false;
          this.#progress.receive(chunk.byteLength);
        }
        requireWanted(signal);
        if (partial.bytes === before) throw new CourierError("unavailable", `${this.#name.host} sends no data`);
      } catch (error) {
        if (!(error instanceof CourierError) || error.code !== "unavailable") throw error;
        failures = partial.bytes > before ? 1 : failures + 1;
        if (failures >= MAX_FAILURES) throw error;
        await clock.sleep(FIRST_PAUSE_MS * 2 ** (failures - 1), signal);
        requireWanted(signal);
      }
    }
    return true;
  }
}

/** Counts what came. */
class Progress {
  readonly #totalBytes: number;
  readonly #onProgress: FetchingDeps["onProgress"];
  #completedBytes: number;
  #receivedBytes = 0;

  constructor(totalBytes: number, completedBytes: number, onProgress: FetchingDeps["onProgress"]) {
    this.#totalBytes = totalBytes;
    this.#completedBytes = completedBytes;
    this.#onProgress = onProgress;
  }

  get completedBytes(): number {
    return this.#completedBytes;
  }

  get fetched(): Fetched {
    return {
      completedBytes: this.#completedBytes,
      totalBytes: this.#totalBytes,
      receivedBytes: this.#receivedBytes,
    };
  }

  reach(completedBytes: number): void {
    this.#completedBytes = completedBytes;
    this.#onProgress(this.fetched);
  }

  receive(bytes: number): void {
    this.#receivedBytes += bytes;
    this.reach(this.#completedBytes + bytes);
  }
}

/** A share that fills up on the way keeps what is there: the next attempt begins with it. */
function writeFailure(mirror: Mirror, error: unknown): CourierError {
  const failure = mirrorFailure("write the mirror", mirror.path, error);
  if (failure.code !== "exhausted" || error instanceof CourierError) return failure;
  const { message, hint, cause } = failure;
  return new CourierError("exhausted", `${message}; what was fetched is kept for the next time`, { hint, cause });
}

function requireWanted(signal: AbortSignal): void {
  if (signal.aborted) throw new CourierError("cancelled", "Cancelled: what was fetched is kept for the next time");
}
