// Runs gpu-server's fetches into the mirror: one after the other as they were asked for, two at a time, also after a restart.
import { type Clock, within } from "../../../base/clock.ts";
import { asCourierError, CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { parseModelName, sameModel } from "../../../base/model_name.ts";
import type { AllowedRegistries } from "../../../program/registry/allowed_registries.ts";
import { type FetchingDeps, fetchModel } from "../../../transport/mirror/fetching.ts";
import { WrongBlob } from "../../../transport/mirror/writing.ts";
import type { FetchRecord, FetchStore } from "./fetch_store.ts";
import type { FollowingPulls, PullRequest } from "./following_pulls.ts";
import { RunningFetch } from "./running_fetch.ts";

export interface FetchesDeps {
  readonly store: FetchStore;
  readonly pulls: Pick<FollowingPulls, "send">;
  readonly mirror: FetchingDeps["mirror"];
  readonly source: FetchingDeps["source"];
  readonly registries: Pick<AllowedRegistries, "requireAllowed">;
  readonly clock: Clock;
  readonly log: Log;
}

export interface FetchRequest {
  /** In Ollama's form. */
  readonly model: string;
  readonly requestedBy: string | null;
  /** For once it has succeeded. */
  readonly pulls?: readonly PullRequest[];
}

const AT_ONCE = 2;
const MOST_ACTIVE = 100;
/** Attempts in a row without a new byte, each of which asks the registry several times itself. */
const MAX_ATTEMPTS = 5;
const FIRST_PAUSE_MS = 10_000;
/** A share that hangs would keep a fetch from stopping. */
const STOP_MS = 20_000;
const LEAVE_MS = 5_000;

export class Fetches {
  readonly #deps: FetchesDeps;
  readonly #running = new Map<string, RunningFetch>();
  readonly #work = new Set<Promise<void>>();
  #stop: AbortSignal | undefined;
  readonly ended = { succeeded: 0, failed: 0, cancelled: 0 };

  constructor(deps: FetchesDeps) {
    this.#deps = deps;
  }

  /** Goes on with what an earlier run has left, until the stop signal: what is unfinished then goes on in the next run. */
  async run(stop: AbortSignal): Promise<void> {
    const { store, clock } = this.#deps;
    this.#stop = stop;
    for (const fetch of store.unsent()) this.#begin(async () => await this.#sendPulls(fetch.id, stop));
    this.#startNext(stop);
    while (!stop.aborted) await clock.sleep(2 ** 31 - 1, stop);
    await within(clock, LEAVE_MS, Promise.all(this.#work), null);
  }

  /**
   * Fetches a model, or joins the fetch of this model that is under way. Durable when it returns.
   * @throws CourierError `forbidden` for a registry that is not allowed; `exhausted` when too many wait
   */
  add({ model, requestedBy, pulls = [] }: FetchRequest): FetchRecord {
    const { store, registries, clock } = this.#deps;
    registries.requireAllowed(model);
    const active = store.active();
    // One that is being cancelled ends soon, with whatever joins it.
    const isJoined = ({ id, ...fetch }: FetchRecord): boolean =>
      sameModel(fetch.model, model) && this.#running.get(id)?.isCancelled !== true;
    const same = active.find(isJoined);
    if (same === undefined && active.length >= MOST_ACTIVE) {
      throw new CourierError("exhausted", `${active.length} fetches are waiting already`, {
        hint: "Try again when some have ended: gpuctl mirror fetches",
      });
    }
    const id = same?.id ?? Bun.randomUUIDv7();
    if (same === undefined) store.add({ id, model, created_at_ms: clock.now(), requested_by: requestedBy });
    store.addPulls(id, pulls);
    if (this.#stop !== undefined) this.#startNext(this.#stop);
    return this.find(id);
  }

  /** The newest first. */
  list(): readonly FetchRecord[] {
    return this.#deps.store.list().map((fetch) => this.#now(fetch));
  }

  /** @throws CourierError `not_found` */
  find(id: string): FetchRecord {
    const found = this.#deps.store.find(id);
    if (found !== undefined) return this.#now(found);
    throw new CourierError("not_found", `No fetch with the id ${JSON.stringify(id)}`, {
      hint: "gpuctl mirror fetches",
    });
  }

  /** How fast it goes; null unless it runs. */
  bytesPerSecond(id: string): number | null {
    return this.#running.get(id)?.bytesPerSecond ?? null;
  }

  /** How many wait, and how many run. */
  get active(): { readonly queued: number; readonly running: number } {
    const running = this.#running.size;
    return { queued: Math.max(0, this.#deps.store.active().length - running), running };
  }

  /** Whether a model is being fetched, or will be. */
  isActive(model: string): boolean {
    return this.#deps.store.active().some((fetch) => sameModel(fetch.model, model));
  }

  /**
   * Ends a fetch, for all that asked for it: what it fetched is kept for the next one. Resolves when it has stopped.
   * @throws CourierError `not_found`; `conflict` when it has succeeded or failed
   */
  async cancel(id: string): Promise<FetchRecord> {
    const { store, clock } = this.#deps;
    const { model, state } = this.find(id);
    if (state === "succeeded" || state === "failed")
      throw new CourierError("conflict", `Cannot cancel the fetch of ${model}: it has already ${state}`);
    const running = this.#running.get(id);
    if (running !== undefined) {
      if (!(await within(clock, STOP_MS, running.cancel(), false))) {
        throw new CourierError("deadline_exceeded", `The fetch of ${model} did not stop within ${STOP_MS / 1000} s`, {
          hint: "It stops as soon as the share answers",
        });
      }
    } else if (state !== "cancelled") {
      store.end(id, { state: "cancelled", code: "cancelled", error: "Cancelled" }, clock.now());
      this.ended.cancelled += 1;
      if (this.#stop !== undefined) this.#sendLater(id, this.#stop);
    }
    return this.find(id);
  }

  #startNext(stop: AbortSignal): void {
    const { store, clock } = this.#deps;
    for (const fetch of store.active()) {
      if (stop.aborted || this.#running.size >= AT_ONCE) return;
      if (this.#running.has(fetch.id)) continue;
      store.begin(fetch.id, clock.now());
      const running = new RunningFetch(fetch, { store, clock, stop });
      this.#running.set(fetch.id, running);
      this.#begin(async () => await this.#run(fetch, running, stop));
    }
  }

  async #run(fetch: FetchRecord, running: RunningFetch, stop: AbortSignal): Promise<void> {
    const { store, clock, log } = this.#deps;
    const { id, model } = fetch;
    try {
      await this.#fetch(fetch, running).finally(() => running.keep());
      store.end(id, { state: "succeeded", code: null, error: null }, clock.now());
      this.ended.succeeded += 1;
      log.info({ fetch: id, model }, "Fetched into the mirror");
    } catch (error) {
      if (stop.aborted && !running.isCancelled) return;
      const { code, message } = asCourierError(error);
      const state = running.isCancelled ? "cancelled" : "failed";
      store.end(id, { state, code: running.isCancelled ? "cancelled" : code, error: message }, clock.now());
      this.ended[state] += 1;
      if (state === "failed") log.warn({ fetch: id, model, error }, "Cannot fetch into the mirror");
    } finally {
      this.#running.delete(id);
      running.over();
      this.#startNext(stop);
    }
    await this.#sendPulls(id, stop);
  }

  /** Again when the registry or the share cannot be reached for a while. */
  async #fetch({ id, model }: FetchRecord, running: RunningFetch): Promise<void> {
    const { mirror, source, clock, log } = this.#deps;
    const { signal, onProgress } = running;
    for (let failures = 0; ; ) {
      const before = running.receivedBytes;
      try {
        const deps = { mirror, source, clock, signal, onProgress };
        // What the mirror had already shows no progress.
        onProgress(await fetchModel(parseModelName(model), deps));
        return;
      } catch (error) {
        const failure = asCourierError(error);
        failures = running.receivedBytes > before ? 1 : failures + 1;
        const isPassing = failure.code === "unavailable" && !(error instanceof WrongBlob);
        if (!isPassing || failures >= MAX_ATTEMPTS || signal.aborted) throw error;
        running.failed(failure.message);
        log.warn({ fetch: id, model, error }, "Fetching into the mirror is interrupted");
        await clock.sleep(FIRST_PAUSE_MS * 2 ** (failures - 1), signal);
      }
    }
  }

  /** Nobody may wait for pulls: a share that hangs would keep the caller. */
  #sendLater(id: string, stop: AbortSignal): void {
    this.#begin(async () => await this.#sendPulls(id, stop));
  }

  async #sendPulls(id: string, stop: AbortSignal): Promise<void> {
    await this.#deps.pulls.send(this.find(id), stop);
  }

  #begin(work: () => Promise<void>): void {
    const task = work()
      .catch((error: unknown) => this.#deps.log.error({ error }, "The mirror's fetches failed unexpectedly"))
      .finally(() => this.#work.delete(task));
    this.#work.add(task);
  }

  /** With what it has reached since it was stored. */
  #now(fetch: FetchRecord): FetchRecord {
    const running = this.#running.get(fetch.id);
    if (running === undefined) return fetch;
    const { completedBytes, totalBytes, error } = running;
    return { ...fetch, completed_bytes: completedBytes, total_bytes: totalBytes, error };
  }
}
