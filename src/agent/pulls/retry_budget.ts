// Decides whether a failed pull is tried again, and after which pause.
import { CourierError } from "../../base/errors.ts";
import { formatDuration } from "../../base/format.ts";
import { retryOf } from "../ollama/pull_failure.ts";

/** How long a pull is tried without a new byte. */
export interface RetryLimits {
  readonly pullTimeoutMs: number;
  /** The same for a pull whose registry has never sent a manifest. */
  readonly registryTimeoutMs: number;
}

/** What the next failure depends on. */
export interface Situation {
  readonly nowMs: number;
  /** The registry has sent a manifest, in this pull. */
  readonly hasManifest: boolean;
  /** The registry's host name does not exist, while another name resolves. */
  readonly isHostMissing: boolean;
}

/** `dying`: the cause is about to disappear by itself, so the pause is not reported. */
export type Pause = { readonly pauseMs: number; readonly why: "failed" | "dying" };

const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;
/** A download that was just cancelled ends within a second, or, while it waits to retry a part, within 32 s. */
const DYING_PAUSE_MS = 500;
const DYING_MS = 45_000;
/** An unknown failure may be temporary, but a new kind of fault should not be retried for a day. */
const UNKNOWN_ATTEMPTS = 4;
/** A host name that does not exist is more likely a typo than an outage. */
export const MISSING_HOST_TIMEOUT_MS = 600_000;

export class RetryBudget {
  readonly #limits: RetryLimits;
  #lastByteAtMs: number;
  #failures = 0;
  #mismatches = 0;
  #unknown = 0;

  constructor(limits: RetryLimits, nowMs: number) {
    this.#limits = limits;
    this.#lastByteAtMs = nowMs;
  }

  /** A new byte arrived: the budget is full again. */
  refill(nowMs: number): void {
    this.#lastByteAtMs = nowMs;
    this.#failures = 0;
    this.#unknown = 0;
  }

  /** Does not count time in which the pull waited for others. */
  excuse(ms: number): void {
    this.#lastByteAtMs += Math.max(0, ms);
  }

  idleMs(nowMs: number): number {
    return nowMs - this.#lastByteAtMs;
  }

  /** @throws CourierError the failure itself, when there is no further attempt */
  nextPause(failure: CourierError, { nowMs, hasManifest, isHostMissing }: Situation): Pause {
    const retry = retryOf(failure);
    const idleMs = this.idleMs(nowMs);
    if (retry === "never") throw failure;
    if (retry === "once" && ++this.#mismatches > 1) throw reworded(failure, "for the second time");
    if (retry === "perhaps" && ++this.#unknown >= UNKNOWN_ATTEMPTS) throw failure;
    if (isHostMissing && idleMs >= MISSING_HOST_TIMEOUT_MS) {
      throw reworded(failure, `given up after ${durationText(MISSING_HOST_TIMEOUT_MS)}: this host name does not exist`);
    }
    const { pullTimeoutMs, registryTimeoutMs } = this.#limits;
    const timeoutMs = hasManifest ? pullTimeoutMs : Math.min(pullTimeoutMs, registryTimeoutMs);
    if (idleMs >= timeoutMs) {
      throw reworded(
        failure,
        `given up after ${durationText(timeoutMs)} without ${hasManifest ? "a new byte" : "a manifest"}`,
      );
    }
    if (retry === "soon" && idleMs < DYING_MS) return { pauseMs: DYING_PAUSE_MS, why: "dying" };
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, MAX_PAUSE_MS, timeoutMs - idleMs);
    this.#failures += 1;
    return { pauseMs, why: "failed" };
  }
}

/** A duration for people, rounded up to whole seconds. */
export function durationText(ms: number): string {
  return formatDuration(Math.ceil(ms / 1000));
}

function reworded({ code, message, hint, cause }: CourierError, addition: string): CourierError {
  return new CourierError(code, `${message}, ${addition}`, { hint, cause });
}
