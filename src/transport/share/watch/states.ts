// The state documents under watch: one look at all of them after another, at most a sixth of the time.
import type { Closable, StateWatcher } from "../../../transport.ts";
import { shareFailure } from "../failures.ts";
import { type KnownState, lookAtStates, reportLeftOut, type StateLook } from "../messages/state_looks.ts";
import type { Share } from "../share.ts";
import { guarded } from "./callback_guard.ts";

/** Each look at a file server costs it a listing, and a few calls per document that changed. */
const NETWORK_REST_MS = 1_000;
/** On a local disk a small fleet costs less than a millisecond, so changes are seen sooner. */
const LOCAL_REST_MS = { least: 250, most: 2_000, perMsOfWork: 100 };
/** What a large fleet costs is bounded: it is looked at a sixth of the time. */
const REST_PER_WORK = 5;
const RETRY_MS = 1_000;

/** Watches from construction until `close()`. */
export class StateWatch implements Closable {
  readonly #share: Share;
  readonly #watcher: StateWatcher;
  readonly #closed = new AbortController();
  readonly #ended: Promise<void>;
  /** The documents that were delivered, without their texts, by file name. */
  readonly #known = new Map<string, KnownState>();
  /** Known documents that the last listing did not show. */
  #missing: ReadonlySet<string> = new Set();
  #leftOut = 0;
  #isInterrupted = false;

  constructor(share: Share, watcher: StateWatcher) {
    this.#share = share;
    this.#watcher = watcher;
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { clock } = this.#share;
    const { signal } = this.#closed;
    let wasRead = false;
    while (!signal.aborted) {
      const startedMs = clock.monotonic();
      const isRead = await this.#tryToLook(startedMs);
      // The first look, and the first one after an interruption, reads everything: that time does not come again.
      const workMs = wasRead ? clock.monotonic() - startedMs : 0;
      await clock.sleep(isRead ? this.#restMs(workMs) : RETRY_MS, signal);
      wasRead = isRead;
    }
  }

  /** @returns whether the documents could be read */
  async #tryToLook(startedMs: number): Promise<boolean> {
    try {
      await this.#look();
    } catch (error) {
      const failure = await shareFailure(error, "read states", this.#share.layout.status.path, this.#share);
      if (!this.#isInterrupted) this.#notify((watcher) => watcher.interrupted(failure));
      this.#isInterrupted = true;
      this.#missing = new Set();
      return false;
    }
    this.#notify((watcher) => watcher.synced(startedMs));
    if (this.#isInterrupted) this.#notify((watcher) => watcher.restored());
    this.#isInterrupted = false;
    return true;
  }

  async #look(): Promise<void> {
    const { signal } = this.#closed;
    const saw = (name: string, seen: StateLook): void => this.#saw(name, seen);
    const { listed, leftOut } = await lookAtStates(this.#share, this.#known, saw, signal);
    if (signal.aborted) return;
    reportLeftOut(this.#share, leftOut, this.#leftOut);
    this.#leftOut = leftOut;
    await this.#removeMissing(listed);
  }

  #saw(name: string, seen: StateLook): void {
    if (typeof seen !== "object") return;
    this.#known.set(name, { facts: seen.facts, record: { agent: seen.record.agent } });
    this.#notify((watcher) => watcher.changed(seen.record));
  }

  /** A document is gone once two listings in a row do not show it, with a fresh look at the folder in between. */
  async #removeMissing(listed: ReadonlySet<string>): Promise<void> {
    const missing = [...this.#known.keys()].filter((name) => !listed.has(name));
    if (missing.length > 0) await this.#share.folderAgain(this.#share.layout.status);
    for (const name of missing) {
      if (!this.#missing.has(name)) continue;
      const agent = this.#known.get(name)?.record.agent;
      this.#known.delete(name);
      if (agent !== undefined) this.#notify((watcher) => watcher.removed(agent));
    }
    this.#missing = new Set(missing);
  }

  #notify(call: (watcher: StateWatcher) => void): void {
    if (!this.#closed.signal.aborted) guarded(this.#share.log, () => call(this.#watcher));
  }

  #restMs(workMs: number): number {
    const { least, most, perMsOfWork } = LOCAL_REST_MS;
    const pause = this.#share.isNetwork ? NETWORK_REST_MS : Math.min(most, Math.max(least, perMsOfWork * workMs));
    return Math.max(pause, REST_PER_WORK * workMs);
  }
}
