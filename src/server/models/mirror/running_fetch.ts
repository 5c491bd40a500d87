// One fetch while it runs: how far it is, how fast, and how it is cancelled.
import type { Clock } from "../../../base/clock.ts";
import type { Fetched } from "../../../transport/mirror/fetching.ts";
import type { FetchRecord, FetchStore } from "./fetch_store.ts";

export interface RunningFetchDeps {
  readonly store: Pick<FetchStore, "progress">;
  readonly clock: Pick<Clock, "monotonic">;
  /** Of the server. */
  readonly stop: AbortSignal;
}

/** A commit waits for the disk, and a restart measures again anyway. */
const STORED_EVERY_MS = 5_000;
const MEASURED_MS = 1_000;
/** After this long without a byte, it stands still. */
const STALLED_MS = 10_000;

export class RunningFetch {
  readonly #id: string;
  readonly #deps: RunningFetchDeps;
  readonly #cancelled = new AbortController();
  readonly #over = Promise.withResolvers<void>();
  #completedBytes: number;
  #totalBytes: number | null;
  /** Of all attempts. */
  #receivedBytes = 0;
  #ofAttempt = 0;
  #error: string | null = null;
  #storedAtMs = Number.NEGATIVE_INFINITY;
  #measured: { readonly atMs: number; readonly receivedBytes: number };
  #bytesPerSecond: number | null = null;

  constructor({ id, completed_bytes, total_bytes }: FetchRecord, deps: RunningFetchDeps) {
    this.#id = id;
    this.#deps = deps;
    this.#completedBytes = completed_bytes;
    this.#totalBytes = total_bytes;
    this.#measured = { atMs: deps.clock.monotonic(), receivedBytes: 0 };
  }

  /** Ends it. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#deps.stop, this.#cancelled.signal]);
  }

  get isCancelled(): boolean {
    return this.#cancelled.signal.aborted;
  }

  get completedBytes(): number {
    return this.#completedBytes;
  }

  get totalBytes(): number | null {
    return this.#totalBytes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Why its last attempt failed; null: nothing failed since it last received something. */
  get error(): string | null {
    return this.#error;
  }

  get bytesPerSecond(): number | null {
    const isStalled = this.#deps.clock.monotonic() - this.#measured.atMs > STALLED_MS;
    return isStalled ? 0 : this.#bytesPerSecond;
  }

  readonly onProgress = ({ completedBytes, totalBytes, receivedBytes }: Fetched): void => {
    // Each attempt counts from nothing.
    if (receivedBytes < this.#ofAttempt) this.#ofAttempt = 0;
    if (receivedBytes > this.#ofAttempt) this.#error = null;
    this.#receivedBytes += receivedBytes - this.#ofAttempt;
    this.#ofAttempt = receivedBytes;
    this.#completedBytes = completedBytes;
    this.#totalBytes = totalBytes;
    this.#measure();
    if (this.#deps.clock.monotonic() - this.#storedAtMs >= STORED_EVERY_MS) this.keep();
  };

  /** An attempt failed, and another one follows. */
  failed(reason: string): void {
    this.#error = reason;
    this.keep();
  }

  /** @returns true, when it has stopped */
  async cancel(): Promise<true> {
    this.#cancelled.abort();
    await this.#over.promise;
    return true;
  }

  over(): void {
    this.#over.resolve();
  }

  /** Stores how far it is. */
  keep(): void {
    this.#storedAtMs = this.#deps.clock.monotonic();
    const [completed_bytes, total_bytes] = [this.#completedBytes, this.#totalBytes];
    this.#deps.store.progress(this.#id, { completed_bytes, total_bytes, error: this.#error });
  }

  #measure(): void {
    const nowMs = this.#deps.clock.monotonic();
    const { atMs, receivedBytes } = this.#measured;
    if (nowMs - atMs < MEASURED_MS) return;
    this.#bytesPerSecond = Math.round(((this.#receivedBytes - receivedBytes) / (nowMs - atMs)) * 1000);
    this.#measured = { atMs: nowMs, receivedBytes: this.#receivedBytes };
  }
}
