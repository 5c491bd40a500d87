// Sends what waits in the outbox: one timer for all targets, and none while nothing waits.
import { type Clock, within } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Outage } from "../../base/outage.ts";
import type { Post, Reply } from "./http/post.ts";
import { type Secrets, signedHeaders } from "./http/signature.ts";
import { retryAfterMs } from "./queue/backoff.ts";
import type { Claimed, Failure, Outbox } from "./queue/outbox.ts";
import type { Target } from "./settings.ts";

export interface SenderDeps {
  readonly outbox: Outbox;
  readonly targets: readonly Target[];
  readonly secrets: Secrets;
  readonly post: Post;
  /** Whether this server may send now: of several with one queue, one does. */
  readonly sends: () => boolean;
  /** Called after each attempt. */
  readonly attempted: () => void;
  /** Of the queue in the store. */
  readonly store: Outage;
  readonly clock: Clock;
  readonly log: Log;
}

/** Attempts at the same time, for one target that takes them. One that failed last gets one. */
const AT_ONCE = 4;
/** Attempts that are under way at the end may take this long. */
const GRACE_MS = 2_000;
/** After the store failed. */
const AGAIN_MS = 10_000;
const LONGEST_SLEEP_MS = 3_600_000;
const STATUS_GONE = 410;

export class Sender {
  readonly #deps: SenderDeps;
  readonly #outages: ReadonlyMap<string, Outage>;
  /** By target. */
  readonly #underWay = new Map<string, Set<Promise<void>>>();
  /** The targets that want no events any more. */
  readonly #gone = new Map<string, string>();
  #woken = new AbortController();

  constructor(deps: SenderDeps) {
    this.#deps = deps;
    this.#outages = new Map(
      deps.targets.map(({ id, address }) => [id, new Outage({ ...deps, subject: `Webhook ${address}` })]),
    );
  }

  /** Something was added. */
  wake(): void {
    this.#woken.abort();
  }

  /** Why targets take no events, for people; null: they do. */
  get trouble(): string | null {
    const failing = [...this.#outages.values()].map(({ reason }) => reason).filter((reason) => reason !== null);
    const reasons = [...failing, ...this.#gone.values()];
    return reasons.length === 0 ? null : reasons.join("; ");
  }

  /** Sends until `stop` aborts, and then resolves when nothing is under way. Never rejects. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const cancelled = new AbortController();
    stop.addEventListener("abort", () => this.wake());
    while (!stop.aborted) {
      this.#woken = new AbortController();
      const restMs = this.#startDue(cancelled.signal);
      await sleepUntil(clock, restMs, this.#woken.signal);
    }
    const all = Promise.all([...this.#underWay.values()].flatMap((attempts) => [...attempts]));
    await within(clock, GRACE_MS, all, null);
    cancelled.abort();
    await all;
  }

  /** @returns the time until there is something to do again; null: not before somebody wakes it */
  #startDue(signal: AbortSignal): number | null {
    try {
      const rests = this.#deps.targets.map((target) => this.#startFor(target, signal)).filter((rest) => rest !== null);
      this.#deps.store.ended("sender");
      return rests.length === 0 ? null : Math.min(...rests);
    } catch (error) {
      this.#deps.store.failed("sender", error);
      return AGAIN_MS;
    }
  }

  #startFor(target: Target, signal: AbortSignal): number | null {
    const { outbox, clock } = this.#deps;
    const nowMs = clock.now();
    const { failures, pausedUntilMs, isGone } = outbox.standing(target.id, nowMs);
    if (isGone || !this.#deps.sends()) return null;
    const attempts = this.#attempts(target);
    // The end of an attempt wakes it.
    const mayStart = (): boolean => attempts.size < (failures > 0 ? 1 : AT_ONCE);
    if (pausedUntilMs <= nowMs && mayStart()) {
      if (outbox.giveUp(target.id, nowMs) > 0) this.#logGivenUp(target);
      for (let next = outbox.claim(target.id, nowMs); next !== null; ) {
        this.#start(target, next, signal);
        next = mayStart() ? outbox.claim(target.id, nowMs) : null;
      }
    }
    if (!mayStart()) return null;
    const nextMs = outbox.nextMs(target.id, nowMs);
    return nextMs === null ? null : Math.max(nextMs, pausedUntilMs) - nowMs;
  }

  #attempts({ id }: Target): Set<Promise<void>> {
    const attempts = this.#underWay.get(id) ?? new Set();
    this.#underWay.set(id, attempts);
    return attempts;
  }

  #start(target: Target, claimed: Claimed, signal: AbortSignal): void {
    const attempts = this.#attempts(target);
    const attempt = this.#send(target, claimed, signal).finally(() => {
      attempts.delete(attempt);
      this.#deps.attempted();
      this.wake();
    });
    attempts.add(attempt);
  }

  /** Never rejects. */
  async #send(target: Target, claimed: Claimed, signal: AbortSignal): Promise<void> {
    const { post, secrets, clock, outbox, store } = this.#deps;
    const beganMs = clock.now();
    const headers = signedHeaders(claimed, secrets, beganMs);
    const reply = await post({ url: target.url, headers, body: claimed.body }, signal).catch(asCourierError);
    try {
      if (!(reply instanceof Error)) this.#took(target, claimed, reply, beganMs);
      else if (signal.aborted) outbox.release(claimed.number, clock.now());
      else this.#refused(target, claimed, { status: null, error: reply.message, retryAfterMs: 0, beganMs });
      store.ended("result");
    } catch (error) {
      // It is sent again when its minute is over.
      store.failed("result", error);
    }
  }

  #took(target: Target, claimed: Claimed, { status, retryAfter }: Reply, beganMs: number): void {
    const { outbox, clock, log } = this.#deps;
    const nowMs = clock.now();
    if (status >= 200 && status <= 299) {
      outbox.delivered(target.id, claimed.number, status, nowMs);
      this.#outages.get(target.id)?.ended("send");
      log.debug({ webhook: target.address, id: claimed.id, type: claimed.type, status }, "Webhook delivered");
    } else if (status === STATUS_GONE) {
      outbox.gone(target.id, claimed.number, status, nowMs);
      this.#outages.get(target.id)?.ended("send");
      this.#gone.set(target.id, `${target.url.host} wants no more events`);
      const hint = "It gets no events until gpu-server starts again. Remove it from --webhook if that is right";
      log.warn({ webhook: target.address, status, hint }, "Webhook is gone");
    } else {
      const error = `${target.url.host} answers ${status}, where 2xx is expected`;
      this.#refused(target, claimed, { status, error, beganMs, retryAfterMs: retryAfterMs(retryAfter, nowMs) });
    }
  }

  #refused(target: Target, { number }: Claimed, failure: Failure): void {
    const { outbox, clock } = this.#deps;
    outbox.failed(target.id, number, failure, clock.now());
    this.#outages.get(target.id)?.failed("send", new CourierError("unavailable", failure.error));
  }

  #logGivenUp({ address }: Target): void {
    this.#deps.log.warn({ webhook: address }, "Webhook events were refused for 24 h: gave them up");
  }
}

async function sleepUntil(clock: Clock, restMs: number | null, woken: AbortSignal): Promise<void> {
  if (restMs !== null) return await clock.sleep(Math.min(Math.max(restMs, 0), LONGEST_SLEEP_MS), woken);
  if (woken.aborted) return;
  await new Promise<void>((resolve) => woken.addEventListener("abort", () => resolve(), { once: true }));
}
