// One fetch of a model into the mirror: from queued to its end, what it shows on the way, and what it keeps for the next process.
import { type Clock, isoTime } from "../../../base/clock.ts";
import { asCourierError, type CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Fetch } from "../../../protocol.ts";
import type { Fetched } from "../../../transport/mirror/fetching.ts";
import { WrongBlob } from "../../../transport/mirror/writing.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import { bounded } from "../../ollama/text.ts";
import { Speed } from "../job_progress.ts";

/** Brings models into the mirror. */
export interface FetchSource {
  /** As `fetchModel()`: what it has fetched when it fails is kept for the next attempt. */
  fetch(model: string, signal: AbortSignal, onProgress: (progress: Fetched) => void): Promise<Fetched>;
}

export interface MirrorFetchDeps {
  readonly source: FetchSource;
  readonly ledger: Pick<Ledger, "keepFetch">;
  readonly changes: { notify(what: "state" | "progress"): void };
  readonly clock: Clock;
  readonly log: Log;
}

const TICK_MS = 1000;
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 300_000;
/** Without a new byte. */
const GIVE_UP_MS = 3_600_000;

export class MirrorFetch {
  readonly #deps: MirrorFetchDeps;
  readonly #controller = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #fetch: Fetch;
  /** Of the attempt under way. */
  #progress: Fetched | null = null;
  #isCancelled = false;
  #isKept = true;
  #failures = 0;
  /** When the last byte came, or the first attempt began, by the monotonic clock. */
  #movedAtMs: number | null = null;
  #dueAtMs = -Infinity;

  /** As it was kept: one that a stop or crash interrupted is queued again. */
  constructor(kept: Fetch, deps: MirrorFetchDeps) {
    this.#deps = deps;
    this.#fetch = isOver(kept) ? kept : { ...kept, state: "queued", bytes_per_second: null };
    if (isOver(kept)) this.#ended.resolve();
  }

  get fetch(): Fetch {
    return this.#fetch;
  }

  get isCancelled(): boolean {
    return this.#isCancelled;
  }

  /** When a queued one may run, by the monotonic clock: it waits until then after a failed attempt. */
  get dueAtMs(): number {
    return this.#dueAtMs;
  }

  /** Saves it. Durable when it returns. @throws CourierError `exhausted` when it cannot be saved */
  keep(): void {
    this.#deps.ledger.keepFetch(this.#fetch.id, JSON.stringify(this.#fetch));
  }

  /** Saves it if that failed before. */
  noteMissed(): void {
    if (!this.#isKept) this.#keepSoon();
  }

  /** Runs until it ends, or until it has to wait: then it is queued again, and due at `dueAtMs`. Never rejects. */
  async run(): Promise<void> {
    const { source, clock, log } = this.#deps;
    const { model, started_at } = this.#fetch;
    const { signal } = this.#controller;
    this.#movedAtMs ??= clock.monotonic();
    log.info({ model }, "Fetching into the mirror");
    this.#update({ state: "running", started_at: started_at ?? isoTime(clock.now()) });
    this.#progress = null;
    const over = new AbortController();
    void this.#show(over.signal);
    try {
      this.#progress = await source.fetch(model, signal, (progress) => this.#note(progress));
      over.abort();
      this.#end({ state: "succeeded", code: null, error: null });
    } catch (error) {
      over.abort();
      this.#failed(error);
    }
  }

  /** @returns once it has ended, as cancelled unless it was done just before */
  async cancel(): Promise<Fetch> {
    if (!this.#isCancelled && !isOver(this.#fetch)) {
      this.#isCancelled = true;
      this.#controller.abort();
      if (this.#fetch.state === "queued") this.#endCancelled();
    }
    await this.#ended.promise;
    return this.#fetch;
  }

  /** Stops without ending it: the next start continues it. */
  stop(): void {
    this.#controller.abort();
  }

  #note(progress: Fetched): void {
    if (progress.receivedBytes > (this.#progress?.receivedBytes ?? 0)) {
      this.#movedAtMs = this.#deps.clock.monotonic();
      this.#failures = 0;
    }
    this.#progress = progress;
  }

  /** Once a second, also while nothing arrives. */
  async #show(over: AbortSignal): Promise<void> {
    const { clock, changes } = this.#deps;
    const speed = new Speed();
    for (;;) {
      await clock.sleep(TICK_MS, over);
      if (over.aborted) return;
      speed.note(this.#progress?.receivedBytes ?? 0, clock.monotonic());
      this.#fetch = { ...this.#fetch, ...this.#figures, bytes_per_second: speed.bytesPerSecond() };
      changes.notify("progress");
    }
  }

  get #figures(): Partial<Fetch> {
    if (this.#progress === null) return {};
    return { completed_bytes: this.#progress.completedBytes, total_bytes: this.#progress.totalBytes };
  }

  #failed(cause: unknown): void {
    const { clock, log } = this.#deps;
    const { id, model } = this.#fetch;
    const error = asCourierError(cause);
    if (this.#isCancelled) return this.#endCancelled();
    if (this.#controller.signal.aborted) return this.#update({ state: "queued", bytes_per_second: null });
    const idleMs = clock.monotonic() - (this.#movedAtMs ?? clock.monotonic());
    if (!mayPass(error) || idleMs >= GIVE_UP_MS) {
      log.error({ fetch: id, model, error }, "Cannot fetch into the mirror");
      return this.#end({ state: "failed", code: error.code, error: textOf(error) });
    }
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    this.#dueAtMs = clock.monotonic() + pauseMs;
    log.warn({ fetch: id, model, reason: error.message }, `Fetch interrupted: retrying in ${pauseMs / 1000} s`);
    this.#update({ state: "queued", bytes_per_second: null, error: textOf(error) });
  }

  #endCancelled(): void {
    const hasData = (this.#fetch.started_at ?? null) !== null;
    const error = hasData ? "Cancelled: what was fetched is kept for the next time" : "Cancelled before it began";
    this.#end({ state: "cancelled", code: "cancelled", error });
  }

  #end(end: Partial<Fetch>): void {
    const { clock, log } = this.#deps;
    this.#update({ bytes_per_second: null, ...end, finished_at: isoTime(clock.now()) });
    const { id, model, state } = this.#fetch;
    log.info({ fetch: id, model, state }, "Fetch ended");
    this.#ended.resolve();
  }

  #update(change: Partial<Fetch>): void {
    this.#fetch = { ...this.#fetch, ...this.#figures, ...change };
    this.#keepSoon();
    this.#deps.changes.notify("state");
  }

  /** One that cannot be saved runs and ends anyway: only a restart would not know of it. */
  #keepSoon(): void {
    this.#isKept = false;
    try {
      this.keep();
      this.#isKept = true;
    } catch (error) {
      this.#deps.log.error({ fetch: this.#fetch.id, error }, "Cannot save the fetch");
    }
  }
}

export function isOver({ state }: Fetch): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}

/** Not wrong bytes, which were fetched twice already. */
function mayPass(error: CourierError): boolean {
  return error.code === "unavailable" && !(error instanceof WrongBlob);
}

function textOf({ message, hint }: CourierError): string {
  return bounded(hint === undefined ? message : `${message}. ${hint}`);
}
