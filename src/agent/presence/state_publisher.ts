// The agent's state document: made from its parts, cut to size, published every 5 s and at every change.
// Imports the seam, protocol, clock, outage.
import { type Clock, isoTime } from "../../base/clock.ts";
import type { Outage } from "../../base/outage.ts";
import { LIMITS, type State } from "../../protocol.ts";
import type { StateRecord, Transport } from "../../transport.ts";
import { conflictingState, type Identity } from "./identity.ts";

/** The parts that others know; the rest is the publisher's. */
export type StateParts = Omit<
  State,
  | "version"
  | "agent"
  | "instance"
  | "host"
  | "started_at"
  | "timestamp"
  | "sequence"
  | "clock_offset_ms"
  | "truncated"
  | "model_count"
  | "job_count"
>;

export interface StatePublisherOptions {
  readonly transport: Transport;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly outage: Outage;
  readonly parts: () => StateParts;
  /** Called every 5 s, right before the document is published: when another writes it too, its own lies there then. Never rejects. */
  readonly look: () => Promise<void>;
  /** Called after each round of looking and publishing, whatever came of it. */
  readonly cameRound: () => void;
  /** Another process publishes under this name (its host), or no longer does (null). */
  readonly conflict: (otherHost: string | null) => void;
}

/** Progress alone is published at most twice a second. */
const PROGRESS_INTERVAL_MS = 500;
/** A conflict is over when the other one has been silent for this long. */
const CONFLICT_OVER_MS = LIMITS.silentMs;

export class StatePublisher {
  readonly #options: StatePublisherOptions;
  #sequence = 0;
  #publishing: Promise<boolean> | undefined;
  #again: Promise<boolean> | undefined;
  #hasPublished = false;
  /** When a publication last ended, well or badly. */
  #triedAtMs = -Infinity;
  #progressIsDue = false;
  readonly #closed = new AbortController();
  #conflictAtMs: number | undefined;

  constructor(options: StatePublisherOptions) {
    this.#options = options;
  }

  /** Publishes every 5 s, looking first whether the document is still ours; resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#options.look();
    while (!signal.aborted) {
      await this.#options.clock.sleep(LIMITS.stateIntervalMs, signal);
      if (signal.aborted) return;
      await this.#options.look();
      // While a pull runs its progress is published anyway.
      if (!this.#progressIsDue) await this.#publishProgress();
      this.#options.cameRound();
    }
  }

  /**
   * Publishes the state as it is now; calls during a publication share the next one.
   * @returns whether it is published; a failure is said, and the next round tries again
   */
  async publish(): Promise<boolean> {
    if (this.#publishing === undefined) {
      this.#publishing = this.#publishNow().finally(() => {
        this.#publishing = undefined;
      });
      return await this.#publishing;
    }
    const current = this.#publishing;
    this.#again ??= current.then(async () => {
      this.#again = undefined;
      return await this.publish();
    });
    return await this.#again;
  }

  /** Publishes soon: at once for a change of state, at most twice a second for progress. */
  changed(what: "state" | "progress"): void {
    if (what === "state") void this.publish();
    else if (!this.#progressIsDue) void this.#publishProgress();
  }

  /** Judges the document that lies under our name: is it still ours? Null: there is none. */
  see(record: StateRecord | null): void {
    const { identity, clock, conflict } = this.#options;
    // Before our first publication what lies there may be our own, from before a crash.
    if (!this.#hasPublished) return;
    const other = conflictingState(record, identity);
    if (other !== null) {
      this.#conflictAtMs = clock.monotonic();
      conflict(other.host);
    } else if (this.#conflictAtMs !== undefined && clock.monotonic() - this.#conflictAtMs >= CONFLICT_OVER_MS) {
      this.#conflictAtMs = undefined;
      conflict(null);
    }
  }

  /** Publishes nothing more by itself; `publish()` still works. */
  close(): void {
    this.#closed.abort();
  }

  async #publishProgress(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closed;
    this.#progressIsDue = true;
    const dueInMs = (): number => this.#triedAtMs + PROGRESS_INTERVAL_MS - clock.monotonic();
    while (dueInMs() > 0 && !signal.aborted) await clock.sleep(dueInMs(), signal);
    this.#progressIsDue = false;
    if (!signal.aborted) await this.publish();
  }

  async #publishNow(): Promise<boolean> {
    const { transport, identity, clock, outage } = this.#options;
    try {
      await transport.publishState(identity.agent, this.#document());
      this.#hasPublished = true;
      outage.ended("state");
      return true;
    } catch (error) {
      outage.failed("state", error);
      return false;
    } finally {
      this.#triedAtMs = clock.monotonic();
    }
  }

  #document(): string {
    const { identity, clock, transport, parts } = this.#options;
    const { agent, instance, host, startedAt } = identity;
    const nowMs = clock.now();
    const own = parts();
    this.#sequence += 1;
    return fit({
      timestamp: isoTime(nowMs),
      version: 2,
      agent,
      instance,
      host,
      started_at: startedAt,
      sequence: this.#sequence,
      clock_offset_ms: Math.round(transport.now() - nowMs),
      ...own,
      model_count: own.models?.length ?? null,
      job_count: own.jobs.length,
      truncated: [],
    });
  }
}

/** The document as text that readers accept: lists that are too long are cut, the newest kept, and named. */
function fit(state: State): string {
  let text = JSON.stringify(state);
  let fitting = state;
  for (const list of ["models", "running", "jobs", "commands"] as const) {
    while (Buffer.byteLength(text) > LIMITS.stateBytes && (fitting[list]?.length ?? 0) > 0) {
      const kept = Math.floor((fitting[list]?.length ?? 0) / 2);
      const cut = list === "jobs" ? fitting.jobs.slice(-kept || fitting.jobs.length) : fitting[list]?.slice(0, kept);
      fitting = { ...fitting, [list]: cut, truncated: [...new Set([...fitting.truncated, list])] };
      text = JSON.stringify(fitting);
    }
  }
  return text;
}
