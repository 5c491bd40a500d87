// Repeats calls to the transport while it is unavailable, until the agent stops.
import type { Clock } from "../../base/clock.ts";
import { asCourierError, type ErrorCode, systemCode } from "../../base/errors.ts";

const RETRY_MS = 1000;
/** Someone may soon fix a share that must not be written to. A denial that has no such cause, as of a planted link, stays. */
const DENIALS: ReadonlySet<string | undefined> = new Set(["EROFS", "EACCES", "EPERM"]);
const DENIED_FOR_MS = 60_000;
const LATER: ReadonlySet<ErrorCode> = new Set(["unavailable", "exhausted", "forbidden"]);

export class Retries {
  readonly #clock: Clock;
  readonly #stopping = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Ends all waiting: a call that fails from now on is not repeated. */
  stop(): void {
    this.#stopping.abort();
  }

  /** @throws CourierError of the last attempt, when repeating it does not help or the agent stops */
  async run<Value>(attempt: () => Promise<Value>): Promise<Value> {
    for (const beganMs = this.#clock.monotonic(); ; ) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#clock.monotonic() - beganMs >= maxRetryMs(error) || this.isStopped) throw error;
        await this.#clock.sleep(RETRY_MS, this.#stopping.signal);
      }
    }
  }
}

/** Whether an attempt some time later may succeed, though repeating it now does not help. */
export function mayPass(error: unknown): boolean {
  return LATER.has(asCourierError(error).code);
}

/** Whether only someone who changes the share can help, as with a planted link. */
export function isFinal(error: unknown): boolean {
  return maxRetryMs(error) === 0;
}

/** Whether this address is denied, and not the whole share because it is mounted read-only. */
export function isDeniedAddress(error: unknown): boolean {
  const { code, cause } = asCourierError(error);
  return code === "forbidden" && systemCode(cause) !== "EROFS";
}

function maxRetryMs(error: unknown): number {
  const { code, cause } = asCourierError(error);
  if (code === "unavailable" || code === "exhausted") return Number.POSITIVE_INFINITY;
  return code === "forbidden" && DENIALS.has(systemCode(cause)) ? DENIED_FOR_MS : 0;
}
