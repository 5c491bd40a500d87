// Which commands run at the same time: changing commands for one model or with one id in order, eight of them at a time;
// reading commands in lanes of their own, so that quick ones never wait for slow ones.
import { normalModelName } from "../../base/model_name.ts";
import { Slots } from "../../base/slots.ts";
import type { AcceptedCommand } from "./judge.ts";

const AT_A_TIME = 8;

export class Lanes {
  readonly #changing = new Slots(AT_A_TIME);
  readonly #reading = new Slots(AT_A_TIME * 8);
  readonly #lastOfKey = new Map<string, Promise<unknown>>();

  /**
   * Runs a changing command once the earlier ones with any of its keys are done. Its place in that order is taken at once.
   * @param keys the models that it is about, in any spelling, and the id under which it is recorded
   */
  async inTurn<Value>(keys: readonly string[], run: () => Promise<Value>): Promise<Value> {
    const own = new Set(keys.map((key) => key.toLowerCase()));
    const before = [...own].map(async (key) => await this.#lastOfKey.get(key)?.catch(() => undefined));
    const mine = (async () => {
      await Promise.all(before);
      return await run();
    })();
    for (const key of own) this.#lastOfKey.set(key, mine);
    try {
      return await mine;
    } finally {
      for (const key of own) if (this.#lastOfKey.get(key) === mine) this.#lastOfKey.delete(key);
    }
  }

  /** Runs a changing command whose turn it is, at one of eight places. */
  async changing<Value>(run: () => Promise<Value>): Promise<Value> {
    return await this.#changing.run(run);
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

/** A name that Ollama does not take is refused when the command runs. */
function asModelName(text: string): string {
  try {
    return normalModelName(text);
  } catch {
    return text;
  }
}
