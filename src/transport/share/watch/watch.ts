// The one loop that watches a folder of the share: listings at a rhythm, names from events in between. Imports the clock.
import { basename } from "node:path";
import type { CourierError } from "../../../base/errors.ts";
import type { Closable } from "../../../transport.ts";
import type { Facts } from "../calls/primitives.ts";
import { isGone, shareFailure } from "../failures.ts";
import { nudgeFolder } from "../files/publish.ts";
import type { Folder } from "../layout.ts";
import type { Share } from "../share.ts";
import type { Box } from "./known_files.ts";
import { LocalRhythm } from "./local_rhythm.ts";
import { NetworkRhythm } from "./network_rhythm.ts";
import type { Rhythm } from "./rhythm.ts";

export interface WatchOptions {
  readonly share: Share;
  readonly folder: Folder;
  readonly box: Box;
  /** Makes the folder, which is gone. */
  readonly remake: () => Promise<Facts>;
  /** Receives each fresh listing before the box does. */
  readonly listed?: (names: readonly string[]) => Promise<void>;
  /** Since when something has been awaited here, on the monotonic clock; null: nothing is. */
  readonly awaitedSinceMs?: () => number | null;
  readonly interrupted?: (error: Error) => void;
  readonly restored?: () => void;
}

const RETRY_MS = 1_000;

/** Watches from its making until `close()`. */
export class Watch implements Closable {
  readonly #options: WatchOptions;
  readonly #named = new Set<string>();
  readonly #ended: Promise<void>;
  #rhythm: Rhythm | null = null;
  #wake = new AbortController();
  #listAtMs = 0;
  #isInterrupted = false;
  #closed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#options.box.close();
    this.#wake.abort();
    await this.#ended;
  }

  /** Something is about to come: look often for a while. */
  stir(): void {
    if (this.#hasten()) this.#wake.abort();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      this.#wake = new AbortController();
      try {
        await this.#step();
        this.#tellRestored();
      } catch (error) {
        const { folder, share } = this.#options;
        this.#tellInterrupted(await shareFailure(error, "look", folder.path, share));
        this.#listAtMs = this.#nowMs() + RETRY_MS;
      }
      if (this.#named.size === 0 || this.#isInterrupted) {
        const nextAtMs = this.#isInterrupted ? this.#listAtMs : Math.min(this.#listAtMs, this.#options.box.dueAtMs());
        await this.#options.share.clock.sleep(nextAtMs - this.#nowMs(), this.#wake.signal);
      }
    }
    this.#rhythm?.close();
  }

  async #step(): Promise<void> {
    const { box } = this.#options;
    const before = box.emitted;
    for (const name of this.#named) {
      this.#named.delete(name);
      await box.look(name);
    }
    await box.lookAtDue();
    if (this.#nowMs() >= this.#listAtMs) await this.#list();
    if (box.emitted !== before) this.#hasten();
  }

  /** @returns whether the next listing is earlier now */
  #hasten(): boolean {
    this.#rhythm?.stir();
    const listAtMs = this.#nowMs() + (this.#rhythm?.intervalMs() ?? 0);
    if (listAtMs >= this.#listAtMs) return false;
    this.#listAtMs = listAtMs;
    return true;
  }

  async #list(): Promise<void> {
    const { box, listed } = this.#options;
    const pauseMs = await this.#currentRhythm().beforeListing();
    if (pauseMs > 0) {
      this.#listAtMs = this.#nowMs() + pauseMs;
      return;
    }
    const names = await this.#freshNames();
    this.#currentRhythm().listed(names);
    await listed?.(names);
    await box.listed(names);
    this.#listAtMs = this.#nowMs() + this.#currentRhythm().intervalMs();
  }

  async #freshNames(): Promise<readonly string[]> {
    const { share, folder } = this.#options;
    try {
      return await this.#readFolder();
    } catch (error) {
      if (!isGone(error)) throw error;
      // Removed or replaced by another machine while this one still knew it: looked for again.
      share.forget(folder);
      return await this.#readFolder();
    }
  }

  async #readFolder(): Promise<readonly string[]> {
    const { share, folder, box, remake } = this.#options;
    const facts = (await share.folder(folder, "read")) ?? (await remake());
    if (!this.#currentRhythm().prepare(facts)) box.missed();
    return [...(await share.names(folder.path))];
  }

  /** Chosen again when the share is mounted again on another kind of file system. */
  #currentRhythm(): Rhythm {
    const { share, folder, awaitedSinceMs = () => null } = this.#options;
    const fits = share.isNetwork ? NetworkRhythm : LocalRhythm;
    if (this.#rhythm instanceof fits) return this.#rhythm;
    this.#rhythm?.close();
    const nudge = share.goesByMtime ? async () => await this.#nudge() : null;
    this.#rhythm = share.isNetwork
      ? new NetworkRhythm({ clock: share.clock, awaitedSinceMs, nudge })
      : new LocalRhythm(folder.path, (name) => this.#event(name), share.log);
    return this.#rhythm;
  }

  /** Where answers are awaited, and none is, nothing can be missed. */
  async #nudge(): Promise<boolean> {
    const { share, folder, awaitedSinceMs } = this.#options;
    if (awaitedSinceMs !== undefined && awaitedSinceMs() === null) return false;
    try {
      return await nudgeFolder(share, folder);
    } catch (error) {
      // Where we may not write, listings have to do.
      share.log.debug({ error, folder: folder.path }, "folder not nudged");
      return false;
    }
  }

  #event(name: string | null): void {
    if (name !== null && this.#options.box.expects(name)) this.#named.add(name);
    // The folder's own name: it was moved or removed.
    else if (name === null || name === basename(this.#options.folder.path)) this.#listAtMs = 0;
    else return;
    this.#wake.abort();
  }

  #tellInterrupted(error: CourierError): void {
    this.#named.clear();
    this.#options.box.missed();
    if (this.#isInterrupted || this.#closed) return;
    this.#isInterrupted = true;
    this.#options.interrupted?.(error);
  }

  #tellRestored(): void {
    if (!this.#isInterrupted || this.#closed) return;
    this.#isInterrupted = false;
    this.#options.restored?.();
  }

  #nowMs(): number {
    return this.#options.share.clock.monotonic();
  }
}
