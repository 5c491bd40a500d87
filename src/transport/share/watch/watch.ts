// The loop that watches a folder of the share: listings at a rhythm, names from events in between.
import { basename } from "node:path";
import type { CourierError } from "../../../base/errors.ts";
import type { Closable } from "../../../transport.ts";
import { type Facts, isGone } from "../calls/primitives.ts";
import { shareFailure } from "../failures.ts";
import { nudgeFolder } from "../files/publish.ts";
import type { Folder } from "../layout.ts";
import type { Share } from "../share.ts";
import type { KnownFiles } from "./known_files.ts";
import { LocalRhythm } from "./local_rhythm.ts";
import { NetworkRhythm } from "./network_rhythm.ts";
import type { Rhythm } from "./rhythm.ts";

export interface WatchDeps {
  readonly share: Share;
  readonly folder: Folder;
  readonly files: KnownFiles;
  /** Makes the folder again when it is gone. */
  readonly remake: () => Promise<Facts>;
  /** Receives each fresh listing before `files` does. */
  readonly listed?: (names: readonly string[]) => Promise<void>;
  /** Since when something has been awaited here, on the monotonic clock; null when nothing is. */
  readonly awaitedSinceMs?: () => number | null;
  /** Files stay unread for want of room. Called when their number changes. */
  readonly leftOut?: (count: number) => void;
  /** All files that are there have been looked at; again after each interruption. */
  readonly complete?: () => void;
  readonly interrupted?: (error: Error) => void;
  readonly restored?: () => void;
}

const RETRY_MS = 1_000;
/** The next listing, at the latest, while files stay unread for want of room. */
const LEFT_OUT_MS = 250;

/** Watches from construction until `close()`. */
export class Watch implements Closable {
  readonly #deps: WatchDeps;
  readonly #named = new Set<string>();
  readonly #ended: Promise<void>;
  #isComplete = false;
  #rhythm: Rhythm | null = null;
  #wake = new AbortController();
  #listAtMs = 0;
  #isInterrupted = false;
  #closed = false;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#deps.files.close();
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
      } catch (error) {
        const { folder, share } = this.#deps;
        this.#reportInterrupted(await shareFailure(error, "look", folder.path, share));
        this.#listAtMs = this.#nowMs() + RETRY_MS;
      }
      if (this.#named.size === 0 || this.#isInterrupted) {
        const nextAtMs = this.#isInterrupted ? this.#listAtMs : Math.min(this.#listAtMs, this.#deps.files.dueAtMs());
        await this.#deps.share.clock.sleep(nextAtMs - this.#nowMs(), this.#wake.signal);
      }
    }
    this.#rhythm?.close();
  }

  async #step(): Promise<void> {
    const { files } = this.#deps;
    const before = files.emitted;
    // After an interruption only a listing shows in which order files came.
    if (!this.#isInterrupted) await this.#lookAtNamed();
    if (this.#nowMs() >= this.#listAtMs && (await this.#list())) this.#reportListed();
    if (files.emitted !== before) this.#hasten();
  }

  async #lookAtNamed(): Promise<void> {
    const { files } = this.#deps;
    for (const name of this.#named) {
      this.#named.delete(name);
      await files.look(name);
    }
    await files.lookAtDue();
  }

  /** @returns whether the next listing is earlier now */
  #hasten(): boolean {
    this.#rhythm?.stir();
    const listAtMs = this.#nowMs() + (this.#rhythm?.intervalMs() ?? 0);
    if (listAtMs >= this.#listAtMs) return false;
    this.#listAtMs = listAtMs;
    return true;
  }

  /** @returns false when it must wait a moment */
  async #list(): Promise<boolean> {
    const { files, listed } = this.#deps;
    const pauseMs = await this.#currentRhythm().beforeListing();
    if (pauseMs > 0) {
      this.#listAtMs = this.#nowMs() + pauseMs;
      return false;
    }
    const names = await this.#freshNames();
    this.#currentRhythm().listed(names);
    await listed?.(names);
    await this.#compare(names);
    const intervalMs = this.#currentRhythm().intervalMs();
    this.#listAtMs = this.#nowMs() + (files.leftOut > 0 ? Math.min(intervalMs, LEFT_OUT_MS) : intervalMs);
    return true;
  }

  async #compare(names: readonly string[]): Promise<void> {
    const { files, leftOut } = this.#deps;
    const before = files.leftOut;
    await files.listed(names);
    if (files.leftOut !== before && !this.#closed) leftOut?.(files.leftOut);
  }

  async #freshNames(): Promise<readonly string[]> {
    const { share, folder } = this.#deps;
    try {
      return await this.#readFolder();
    } catch (error) {
      if (!isGone(error)) throw error;
      // Removed or replaced by another machine while this one still knew it.
      share.forget(folder);
      this.#rhythm?.replaced();
      return await this.#readFolder();
    }
  }

  async #readFolder(): Promise<readonly string[]> {
    const { share, folder, files } = this.#deps;
    const facts = (await share.folder(folder)) ?? (await this.#remake());
    if (!this.#currentRhythm().prepare(facts)) files.missed();
    return [...(await share.names(folder.path))];
  }

  async #remake(): Promise<Facts> {
    this.#rhythm?.replaced();
    return await this.#deps.remake();
  }

  /** Changes when the share is mounted again on another kind of file system. */
  #currentRhythm(): Rhythm {
    const { share, folder, awaitedSinceMs = () => null } = this.#deps;
    const fits = share.isNetwork ? NetworkRhythm : LocalRhythm;
    if (this.#rhythm instanceof fits) return this.#rhythm;
    this.#rhythm?.close();
    const nudge = share.goesByMtime ? async () => await this.#nudge() : null;
    this.#rhythm = share.isNetwork
      ? new NetworkRhythm({ clock: share.clock, awaitedSinceMs, nudge })
      : new LocalRhythm(folder.path, (name) => this.#event(name), share.log);
    return this.#rhythm;
  }

  /** Nothing can be missed in a folder for responses while none is awaited. */
  async #nudge(): Promise<boolean> {
    const { share, folder, awaitedSinceMs } = this.#deps;
    if (awaitedSinceMs !== undefined && awaitedSinceMs() === null) return false;
    try {
      return await nudgeFolder(share, folder);
    } catch (error) {
      // Without the right to write here, listings must be enough.
      share.log.debug({ error, folder: folder.path }, "Folder not nudged");
      return false;
    }
  }

  #event(name: string | null): void {
    if (name !== null && this.#deps.files.expects(name)) this.#named.add(name);
    // The folder's own name: it was moved or removed.
    else if (name === null || name === basename(this.#deps.folder.path)) {
      this.#rhythm?.replaced();
      this.#listAtMs = 0;
    } else return;
    this.#wake.abort();
  }

  #reportInterrupted(error: CourierError): void {
    this.#named.clear();
    this.#rhythm?.replaced();
    this.#deps.files.missed();
    if (this.#isInterrupted || this.#closed) return;
    this.#isInterrupted = true;
    this.#isComplete = false;
    this.#deps.interrupted?.(error);
  }

  #reportListed(): void {
    if (!this.#isComplete && !this.#closed) this.#deps.complete?.();
    this.#isComplete = true;
    if (!this.#isInterrupted || this.#closed) return;
    this.#isInterrupted = false;
    this.#deps.restored?.();
  }

  #nowMs(): number {
    return this.#deps.share.clock.monotonic();
  }
}
