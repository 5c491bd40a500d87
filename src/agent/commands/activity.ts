// Counts the commands that the agent has handled, and lists those under way: the state document shows both.
import { type Clock, isoTime } from "../../base/clock.ts";
import type { State, Verb } from "../../protocol.ts";

/** Commands that are quicker are not listed. */
const LISTED_AFTER_MS = 1000;

interface UnderWay {
  readonly verb: Verb;
  readonly startedAt: string;
  readonly begunMs: number;
}

export class Activity {
  readonly #clock: Clock;
  readonly #underWay = new Map<string, UnderWay>();
  #processed = 0;
  #refused = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Commands that were run, successful or not. */
  get processed(): number {
    return this.#processed;
  }

  get refused(): number {
    return this.#refused;
  }

  /** The commands that have been running for over 1 s. */
  get underWay(): State["commands"] {
    const beforeMs = this.#clock.monotonic() - LISTED_AFTER_MS;
    const listed = [...this.#underWay].filter(([, { begunMs }]) => begunMs <= beforeMs);
    return listed.map(([command_id, { verb, startedAt }]) => ({ command_id, command: verb, started_at: startedAt }));
  }

  /** @returns how long the command has been running, in ms */
  begin(id: string, verb: Verb): () => number {
    const begunMs = this.#clock.monotonic();
    this.#underWay.set(id, { verb, startedAt: isoTime(this.#clock.now()), begunMs });
    return () => Math.round(this.#clock.monotonic() - begunMs);
  }

  end(id: string): void {
    this.#processed += 1;
    this.#underWay.delete(id);
  }

  refuse(): void {
    this.#refused += 1;
  }
}
