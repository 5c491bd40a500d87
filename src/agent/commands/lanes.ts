// Which commands run at the same time: changing commands for one model or with one id in order, eight of them at a time;
// reading commands and loads in lanes of their own, so that quick ones never wait for slow ones.
import { type Clock, within } from "../../base/clock.ts";
import { normalModelName } from "../../base/model_name.ts";
import { Slots } from "../../base/slots.ts";
import type { AcceptedCommand } from "./judge.ts";

const AT_A_TIME = 8;
/** A large model takes minutes, and an unload or a delete ends its load. */
const LOAD_HOLDS_MS = 5_000;

/** The last command with a key. */
interface Last {
  /** Later commands wait for it. */
  readonly done: Promise<unknown>;
  /** For a slow command: what it waited for, and so do others like it. */
  readonly beforeSlow?: Promise<unknown>;
}

export class Lanes {
  readonly #changing = new Slots(AT_A_TIME);
  readonly #reading = new Slots(AT_A_TIME * 8);
  /** Ollama loads one after the other anyway. */
  readonly #loading = new Slots(AT_A_TIME * 8);
  readonly #lastOfKey = new Map<string, Last>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Runs a changing command once the earlier ones with any of its keys are done. Its place in that order is taken at once.
   * @param keys the models that it is about, in any spelling, and the id under which it is recorded
   * @param slow those of the keys for which others wait for at most 5 s of its run, and it does not wait for its like
   */
  async inTurn<Value>(
    keys: readonly string[],
    run: () => Promise<Value>,
    slow: readonly string[] = [],
  ): Promise<Value> {
    const isSlow = new Set(slow.map((key) => key.toLowerCase()));
    const before = new Map(keys.map((key) => [key.toLowerCase(), this.#before(key.toLowerCase(), isSlow)]));
    const turn = Promise.all(before.values());
    const mine = (async () => {
      await turn;
      return await run();
    })();
    for (const [key, beforeIt] of before) {
      if (isSlow.has(key)) this.#hold(key, this.#held(key, beforeIt, mine));
      else this.#hold(key, { done: mine });
    }
    return await mine;
  }

  /** Never rejects. */
  async #before(key: string, isSlow: ReadonlySet<string>): Promise<void> {
    const last = this.#lastOfKey.get(key);
    await (isSlow.has(key) ? (last?.beforeSlow ?? last?.done) : last?.done)?.catch(() => undefined);
  }

  #held(key: string, before: Promise<void>, mine: Promise<unknown>): Last {
    const last = this.#lastOfKey.get(key);
    const held = before.then(async () => await within(this.#clock, LOAD_HOLDS_MS, mine, null));
    const done = last?.beforeSlow === undefined ? held : Promise.allSettled([last.done, held]);
    return { done, beforeSlow: before };
  }

  #hold(key: string, last: Last): void {
    this.#lastOfKey.set(key, last);
    const end = (): void => {
      if (this.#lastOfKey.get(key) === last) this.#lastOfKey.delete(key);
    };
    last.done.then(end, end);
  }

  /** Runs a changing command whose turn it is, at one of eight places. */
  async changing<Value>(run: () => Promise<Value>): Promise<Value> {
    return await this.#changing.run(run);
  }

  /** Runs a load whose turn it is without waiting for other changing commands. */
  async loading<Value>(run: () => Promise<Value>): Promise<Value> {
    return await this.#loading.run(run);
  }

  /** Runs a reading command without waiting for changing ones. */
  async reading<Value>(run: () => Promise<Value>): Promise<Value> {
    return await this.#reading.run(run);
  }
}

/** Commands that share one of these run in turn. An id never equals a model's name, which has a colon. */
export function keysOf({ model, arguments: { destination }, ledgerKey }: AcceptedCommand): string[] {
  const copy = typeof destination === "string" ? [asModelName(destination)] : [];
  return [ledgerKey, ...(model === null ? [] : [model]), ...copy];
}

/** The keys of a command that may take minutes, and that Ollama can do with others for the same model at the same time. */
export function slowKeysOf({ verb, model }: AcceptedCommand): string[] {
  return verb === "load_model" && model !== null ? [model] : [];
}

/** A name that Ollama does not take is refused when the command runs. */
function asModelName(text: string): string {
  try {
    return normalModelName(text);
  } catch {
    return text;
  }
}
