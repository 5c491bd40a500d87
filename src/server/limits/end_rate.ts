// How many ends of jobs an agent may have in an hour: anyone who can write to the share can publish its state, with any jobs.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";

/** As many as an agent keeps. */
export const ENDS_AN_HOUR = 200;
const HOUR_MS = 3_600_000;

export interface EndRateDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
}

interface Hour {
  /** On the monotonic clock. */
  readonly sinceMs: number;
  readonly count: number;
}

export class EndRate {
  readonly #deps: EndRateDeps;
  /** Without those that are over. */
  readonly #hours = new Map<string, Hour>();
  #loggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: EndRateDeps) {
    this.#deps = deps;
  }

  /** How many more the agent may have in its hour, which begins with the first of them. */
  room(agent: string): number {
    const hour = this.#hours.get(agent);
    return hour === undefined || this.#isOver(hour) ? ENDS_AN_HOUR : ENDS_AN_HOUR - hour.count;
  }

  /** @param left how many more there were */
  take(agent: string, taken: number, left: number): void {
    if (this.room(agent) === ENDS_AN_HOUR) this.#removeOver();
    const { sinceMs, count } = this.#hours.get(agent) ?? { sinceMs: this.#deps.clock.monotonic(), count: 0 };
    this.#hours.set(agent, { sinceMs, count: count + taken });
    if (left > 0) this.#logFull(agent);
  }

  /** One line an hour is enough for a flood under many names. */
  #logFull(agent: string): void {
    const { clock, log } = this.#deps;
    if (clock.monotonic() - this.#loggedAtMs < HOUR_MS) return;
    this.#loggedAtMs = clock.monotonic();
    log.warn({ agent, limit: ENDS_AN_HOUR }, "Too many jobs of an agent ended in an hour: the others must wait");
  }

  #isOver({ sinceMs }: Hour): boolean {
    return this.#deps.clock.monotonic() - sinceMs >= HOUR_MS;
  }

  #removeOver(): void {
    for (const [agent, hour] of this.#hours) if (this.#isOver(hour)) this.#hours.delete(agent);
  }
}
