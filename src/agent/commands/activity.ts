// Counts the commands that the agent has handled, and lists those under way: the state document shows both.
import { type Clock, isoTime } from "../../base/clock.ts";
import type { CourierError } from "../../base/errors.ts";
import { LIMITS, type State, type Verb } from "../../protocol.ts";

/** Commands that are quicker are not listed. */
const LISTED_AFTER_MS = 1000;

interface UnderWay {
  readonly verb: Verb;
  readonly startedAt: string;
  readonly begunMs: number;
}

interface Refused {
  readonly id: string;
  readonly verb: Verb | null;
  readonly model: string | null;
  readonly error: CourierError;
}

/** The state repeats them every 5 s. */
const REFUSED_CHARACTERS = 200;

export class Activity {
  readonly #clock: Clock;
  readonly #underWay = new Map<string, UnderWay>();
  #processed = 0;
  #refused = 0;
  #lastRefused: NonNullable<State["refused"]> = [];
  /** By inbox. */
  readonly #waiting = new Map<string, number>();

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

  /** The last commands that were refused, and pulls that did not become a job, the newest last. */
  get lastRefused(): NonNullable<State["refused"]> {
    return this.#lastRefused;
  }

  /** Commands that stay in the inboxes for want of room. */
  get waiting(): number {
    return [...this.#waiting.values()].reduce((sum, count) => sum + count, 0);
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

  leave(inbox: "own" | "shared", count: number): void {
    this.#waiting.set(inbox, count);
  }

  /** @param refused undefined: a name or file that may be no command */
  refuse(refused?: Refused): void {
    this.#refused += 1;
    if (refused !== undefined) this.showRefused(refused);
  }

  /** Shows a command that was run to no effect among those that were refused, without counting it. */
  showRefused({ id, verb, model, error }: Refused): void {
    const cut = (text: string): string => text.slice(0, REFUSED_CHARACTERS);
    const entry = {
      command_id: id,
      command: verb,
      model: model && cut(model),
      code: error.code,
      error: cut(error.message),
    };
    const at = isoTime(this.#clock.now());
    this.#lastRefused = [...this.#lastRefused, { at, ...entry }].slice(-LIMITS.refusedInState);
  }
}
