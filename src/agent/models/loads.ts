// The loads under way. Ollama does not unload a model before it is loaded: who asks for that meanwhile ends the load.
import { CourierError } from "../../base/errors.ts";

export class Loads {
  /** By model, in lower case. */
  readonly #underWay = new Map<string, Set<AbortController>>();

  /**
   * Runs a load until it is done.
   * @throws CourierError `conflict` when it was ended; else as the load
   */
  async run(model: string, load: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const key = model.toLowerCase();
    const stop = new AbortController();
    const others = this.#underWay.get(key) ?? new Set();
    this.#underWay.set(key, others.add(stop));
    try {
      await load(stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      throw new CourierError("conflict", `Cannot load ${JSON.stringify(model)}: it was unloaded before it was loaded`, {
        hint: "Load it again if it is still needed",
        cause: error,
      });
    } finally {
      others.delete(stop);
      if (others.size === 0) this.#underWay.delete(key);
    }
  }

  /** Closes the connections of all loads of this model, at which Ollama stops loading it. @returns whether there was one */
  end(model: string): boolean {
    const loads = this.#underWay.get(model.toLowerCase());
    for (const stop of loads ?? []) stop.abort();
    return loads !== undefined;
  }
}
