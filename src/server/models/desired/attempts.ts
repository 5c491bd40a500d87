// Failed attempts on each box, and the time of the next one.
import { type Clock, instantMs, isoTime } from "../../../base/clock.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import { isEnded, type Job } from "../../../protocol.ts";

export interface AttemptsDeps {
  /** This machine's. */
  readonly clock: Pick<Clock, "monotonic" | "now">;
  /** The clock that agents and servers share. */
  readonly now: () => number;
}

interface Attempt {
  readonly failures: number;
  /** On the monotonic clock. */
  readonly lastMs: number;
  readonly isCancelled: boolean;
  readonly reason: string;
  /** The newest ended job that counts in it; null: none. */
  readonly job: string | null;
}

/** After the first failure; each further one multiplies it. The agent itself has retried for as long as it may. */
const FIRST_MS = 60_000;
const FACTOR = 4;
const LONGEST_MS = 6 * 3_600_000;
/** A person cancelled the pull, and should not have to do so again at once. */
const CANCELLED_MS = 3_600_000;
const REASON_CHARACTERS = 300;

export class Attempts {
  readonly #deps: AttemptsDeps;
  readonly #attempts = new Map<string, Attempt>();
  /** Jobs that ended before count no more, on the shared clock. */
  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(deps: AttemptsDeps) {
    this.#deps = deps;
  }

  /** Everything may be tried again: another file is in force. */
  forget(): void {
    this.#attempts.clear();
    this.#sinceMs = this.#deps.now();
  }

  /**
   * Forgets all but these: the others have succeeded, or are no longer asked for.
   * @param away boxes that cannot be judged now
   */
  keepOnly(keys: ReadonlySet<string>, away: ReadonlySet<string>): void {
    for (const key of this.#attempts.keys())
      if (!keys.has(key) && !away.has(key.slice(0, key.indexOf(" ")))) this.#attempts.delete(key);
  }

  /** Counts the pulls of a model that ended on its box, also those before this server started. The model is still not right. */
  see(view: AgentView, key: string, model: string): void {
    const ended = this.#endedPulls(view, model);
    const latest = ended.at(-1);
    const known = this.#attempts.get(key);
    if (latest === undefined || latest.id === known?.job) return;
    const failures = known === undefined ? failuresAtEnd(ended) : known.failures + 1;
    this.#attempts.set(key, {
      failures,
      lastMs: this.#endedMs(view, latest),
      isCancelled: latest.state === "cancelled",
      reason: reasonOf(latest),
      job: latest.id,
    });
  }

  /** A box did not take a command. */
  refused(key: string, reason: string): void {
    const { failures = 0, job = null } = this.#attempts.get(key) ?? {};
    const lastMs = this.#deps.clock.monotonic();
    this.#attempts.set(key, { failures: failures + 1, lastMs, isCancelled: false, reason: cut(reason), job });
  }

  /** Why it is not tried now; null: it may be. */
  reasonToWait(key: string): string | null {
    const { clock } = this.#deps;
    const attempt = this.#attempts.get(key);
    if (attempt === undefined) return null;
    const restMs = attempt.lastMs + delayMs(attempt) - clock.monotonic();
    if (restMs <= 0) return null;
    return `${attempt.reason}; next attempt at ${isoTime(Math.ceil((clock.now() + restMs) / 1000) * 1000)}`;
  }

  /** The oldest first. */
  #endedPulls({ state }: AgentView, model: string): readonly Job[] {
    const offsetMs = state?.clock_offset_ms ?? 0;
    const isMeant = (job: Job): boolean => isEnded(job) && job.model.toLowerCase() === model.toLowerCase();
    const ended = (state?.jobs ?? []).filter(isMeant).map((job) => ({ job, atMs: endMs(job) + offsetMs }));
    const since = ended.filter(({ atMs }) => atMs > this.#sinceMs);
    return since.toSorted((a, b) => a.atMs - b.atMs).map(({ job }) => job);
  }

  #endedMs({ state }: AgentView, job: Job): number {
    const agoMs = this.#deps.now() - (endMs(job) + (state?.clock_offset_ms ?? 0));
    return this.#deps.clock.monotonic() - Math.max(0, agoMs);
  }
}

function endMs({ ended_at }: Job): number {
  return ended_at === null ? 0 : instantMs(ended_at);
}

/** One that succeeded counts too: it did not bring what the file wants. */
function failuresAtEnd(ended: readonly Job[]): number {
  const lastSuccess = ended.findLastIndex(({ state }) => state === "succeeded");
  return Math.max(1, ended.length - 1 - lastSuccess);
}

function delayMs({ failures, isCancelled }: Attempt): number {
  const grownMs = Math.min(LONGEST_MS, FIRST_MS * FACTOR ** Math.min(failures - 1, 10));
  return isCancelled ? Math.max(CANCELLED_MS, grownMs) : grownMs;
}

function reasonOf({ state, error, code }: Job): string {
  if (state === "succeeded") return "The last pull succeeded, and the model still differs";
  if (state === "cancelled") return "The last pull was cancelled";
  return cut(`The last pull failed: ${error ?? code ?? "no reason given"}`);
}

function cut(text: string): string {
  return text.length <= REASON_CHARACTERS ? text : `${text.slice(0, REASON_CHARACTERS - 1).toWellFormed()}…`;
}
