// Blobs on their way into a simulated Ollama: one download per digest, shared by every pull that wants it.

import type { Faults } from "./faults.ts";
import type { Layer } from "./manifest.ts";
import type { Store } from "./store.ts";
import type { Transfer } from "./transfer.ts";

const STEP_MS = 10;
/** A busy machine makes a download slow, never sudden: else it would end between two looks of the test that watches it. */
const MAX_STEP_MS = 20;

/** What one blob has so far. `ended` resolves when the blob is whole. */
export interface Download {
  readonly completedBytes: number;
  readonly ended: Promise<void>;
  leave(): void;
}

export class Downloads {
  /** Of each download, from now on, at most; Infinity: whole at once. */
  bytesPerSecond: number;
  /** Everything ever fetched, resumed parts counted once. */
  fetchedBytes = 0;
  readonly #store: Store;
  readonly #faults: Faults;
  readonly #running = new Map<string, MadeUp>();
  readonly #real = new Map<string, { readonly transfer: Transfer; listeners: number }>();

  constructor(store: Store, faults: Faults, bytesPerSecond: number) {
    this.#store = store;
    this.#faults = faults;
    this.bytesPerSecond = bytesPerSecond;
  }

  /** Takes part in the download of a blob; starts it, where an earlier one stopped, if it is not running. */
  join(layer: Layer): Download {
    const transfer = this.#running.get(layer.digest) ?? this.#start(layer);
    transfer.listeners += 1;
    let left = false;
    return {
      get completedBytes() {
        return transfer.completedBytes;
      },
      ended: transfer.ended.promise,
      leave: () => {
        if (left) return;
        left = true;
        transfer.listeners -= 1;
        if (transfer.listeners === 0) this.#giveUp(transfer);
      },
    };
  }

  /** The same for a blob that really comes from a registry. A download that dies is joined, and dies. */
  joinReal({ digest }: Layer, start: () => Transfer): Download {
    const shared = this.#real.get(digest) ?? { transfer: start(), listeners: 0 };
    if (!this.#real.has(digest)) {
      this.#real.set(digest, shared);
      const over = (): void => void this.#real.delete(digest);
      shared.transfer.ended.then(over, over);
    }
    shared.listeners += 1;
    let left = false;
    return {
      get completedBytes() {
        return shared.transfer.completedBytes;
      },
      ended: shared.transfer.ended,
      leave: () => {
        if (left) return;
        left = true;
        shared.listeners -= 1;
        if (shared.listeners === 0) shared.transfer.stop();
      },
    };
  }

  #start(layer: Layer): MadeUp {
    const transfer: MadeUp = {
      layer,
      completedBytes: this.#store.partialBytes(layer.digest),
      listeners: 0,
      ended: Promise.withResolvers<void>(),
      timer: undefined,
    };
    this.#running.set(layer.digest, transfer);
    this.#step(transfer, 0);
    return transfer;
  }

  #step(transfer: MadeUp, elapsedMs: number): void {
    const { layer } = transfer;
    const due = Number.isFinite(this.bytesPerSecond)
      ? Math.floor((this.bytesPerSecond * elapsedMs) / 1000)
      : layer.size;
    const limit = Math.min(layer.size, this.#faults.pull?.afterBytes ?? layer.size);
    const gained = Math.max(0, Math.min(due, limit - transfer.completedBytes));
    transfer.completedBytes += gained;
    this.fetchedBytes += gained;
    if (transfer.completedBytes >= layer.size) {
      this.#running.delete(layer.digest);
      this.#store.keepBlob(layer.digest, layer.size);
      transfer.ended.resolve();
      return;
    }
    const startedAt = performance.now();
    transfer.timer = setTimeout(() => {
      this.#step(transfer, Math.min(MAX_STEP_MS, performance.now() - startedAt));
    }, STEP_MS);
  }

  #giveUp(transfer: MadeUp): void {
    if (this.#running.get(transfer.layer.digest) !== transfer) return;
    clearTimeout(transfer.timer);
    this.#running.delete(transfer.layer.digest);
    this.#store.keepPartial(transfer.layer.digest, transfer.completedBytes);
  }
}

interface MadeUp {
  readonly layer: Layer;
  completedBytes: number;
  listeners: number;
  readonly ended: PromiseWithResolvers<void>;
  timer: ReturnType<typeof setTimeout> | undefined;
}
