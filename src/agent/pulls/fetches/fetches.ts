// The fetches of this box into the mirror: one at a time, oldest first. A second request for a model joins the first.
import { isoTime, within } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { parseJson } from "../../../base/foreign_text.ts";
import { sameModel } from "../../../base/model_name.ts";
import { Fetch } from "../../../protocol.ts";
import type { Ledger } from "../../ledger/ledger.ts";
import { isOver, MirrorFetch, type MirrorFetchDeps } from "./mirror_fetch.ts";

export interface FetchesDeps extends MirrorFetchDeps {
  readonly ledger: Pick<Ledger, "fetches" | "keepFetch">;
}

/** Queued and running. */
const MAX_ACTIVE = 100;
/** Of the state document, which has other lists. */
const MAX_SHOWN = 20;
/** Followers see how it ended, and so does a person who looks later. */
const SHOWN_FOR_MS = 3_600_000;

export class Fetches {
  readonly #deps: FetchesDeps;
  /** In the order they were requested. */
  #all: MirrorFetch[] = [];
  #running: Promise<void> | null = null;
  /** Ends the wait for the next one that is due. */
  #alarm = new AbortController();
  #isClosed = false;

  /** Takes over what the ledger holds. */
  constructor(deps: FetchesDeps) {
    this.#deps = deps;
    for (const { id, document } of deps.ledger.fetches()) {
      const kept = Fetch.safeParse(parseJson(document));
      if (kept.success) this.#all.push(new MirrorFetch(kept.data, deps));
      else deps.log.error({ fetch: id, error: kept.error }, "Cannot read a fetch: it is left out");
    }
  }

  /** Starts what is queued. */
  start(): void {
    this.#runNext();
  }

  /**
   * Starts the fetch of a model (in Ollama's form), or joins the one under way. Durable when it returns.
   * @param resumedSinceMs when the command that asks was first run, by the box's clock: the fetch of that time is still its
   * own, even if it ended meanwhile; null: it asks for the first time
   * @throws CourierError `exhausted` when it cannot be saved, or too many are queued: nothing was started
   */
  fetch(model: string, resumedSinceMs: number | null = null): Fetch {
    const known = this.#all.findLast((each) => sameModel(each.fetch.model, model) && isStill(each, resumedSinceMs));
    if (known !== undefined) return known.fetch;
    if (this.#all.filter(({ fetch }) => !isOver(fetch)).length >= MAX_ACTIVE) {
      throw new CourierError("exhausted", `Cannot fetch ${JSON.stringify(model)}: ${MAX_ACTIVE} fetches are queued`, {
        hint: "Wait until some have ended, or cancel some",
      });
    }
    const created_at = isoTime(this.#deps.clock.now());
    const queued: Fetch = { id: Bun.randomUUIDv7(), model, state: "queued", completed_bytes: 0, created_at };
    const fresh = new MirrorFetch(queued, this.#deps);
    fresh.keep();
    this.#all.push(fresh);
    this.#deps.changes.notify("state");
    this.#runNext();
    return fresh.fetch;
  }

  has(id: string): boolean {
    return this.#all.some(({ fetch }) => fetch.id === id);
  }

  /**
   * Cancels a fetch, for all who asked for it; what it fetched is kept. One that was cancelled before stays so.
   * @throws CourierError `not_found`; `conflict` when it had ended otherwise
   */
  async cancel(id: string): Promise<Fetch> {
    const found = this.#all.find(({ fetch }) => fetch.id === id);
    if (found === undefined) throw new CourierError("not_found", `Cannot cancel: no fetch has the id ${id}`);
    const fetch = await found.cancel();
    if (fetch.state === "cancelled") return fetch;
    throw new CourierError("conflict", `Cannot cancel the fetch of ${fetch.model}: it has ${fetch.state}`);
  }

  /** For the state: the first of the active ones, and the last that ended within an hour. */
  list(): readonly Fetch[] {
    this.#forgetOld();
    const active = this.#all.filter(({ fetch }) => !isOver(fetch));
    const ended = this.#all.filter(({ fetch }) => isOver(fetch)).toReversed();
    const shown = new Set([...active, ...ended].slice(0, MAX_SHOWN));
    return this.#all.filter((each) => shown.has(each)).map(({ fetch }) => fetch);
  }

  /** Saves those that could not be saved before. */
  noteMissed(): void {
    for (const each of this.#all) each.noteMissed();
  }

  /** Stops what runs, without ending it: the next start continues it. Waits at most `graceMs` to see it stopped. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    this.#alarm.abort();
    for (const each of this.#all) each.stop();
    await within(this.#deps.clock, graceMs, this.#running ?? Promise.resolve(), undefined);
  }

  #forgetOld(): void {
    const sinceMs = this.#deps.clock.now() - SHOWN_FOR_MS;
    this.#all = this.#all.filter(({ fetch }) => !isOver(fetch) || Date.parse(fetch.finished_at ?? "") >= sinceMs);
  }

  /** The oldest that is due goes first. */
  #runNext(): void {
    this.#alarm.abort();
    if (this.#isClosed || this.#running !== null) return;
    const nowMs = this.#deps.clock.monotonic();
    const queued = this.#all.filter(({ fetch }) => fetch.state === "queued");
    const next = queued.find(({ dueAtMs }) => dueAtMs <= nowMs);
    if (next === undefined) return this.#wakeLater(Math.min(...queued.map(({ dueAtMs }) => dueAtMs)) - nowMs);
    this.#running = next.run().finally(() => {
      this.#running = null;
      this.#runNext();
    });
  }

  #wakeLater(ms: number): void {
    if (!Number.isFinite(ms)) return;
    this.#alarm = new AbortController();
    void this.#runAfter(ms, this.#alarm.signal);
  }

  async #runAfter(ms: number, signal: AbortSignal): Promise<void> {
    await this.#deps.clock.sleep(ms, signal);
    if (!signal.aborted) this.#runNext();
  }
}

/** Whether a request belongs to this fetch: it is under way, or ended since the request was first seen. */
function isStill({ fetch, isCancelled }: MirrorFetch, resumedSinceMs: number | null): boolean {
  if (!isOver(fetch)) return !isCancelled;
  return resumedSinceMs !== null && Date.parse(fetch.finished_at ?? "") >= resumedSinceMs;
}
