// Room for the keys of new agents, also after somebody has filled it with invented names.
import type { KnownAgent } from "./known_agent.ts";

/** The agents that have a document now. */
export interface Present {
  has(agent: string): boolean;
}

export class Room {
  readonly #most: number;
  #present: Present | null = null;
  /** Names that can make room; null: to be looked for, once for each reading. */
  #candidates: string[] | null = null;

  /** @param most keys */
  constructor(most: number) {
    this.#most = most;
  }

  /** All documents were read. Before that, nobody knows whose are gone. */
  looked(present: Present): void {
    this.#present = present;
    this.#candidates = null;
  }

  /**
   * Whether a new agent is admitted.
   * @returns the name that it displaces, of an agent of first use without a document; undefined: none has to go; null: it is full
   */
  admit(held: ReadonlyMap<string, { readonly known: KnownAgent }>): string | null | undefined {
    if (held.size < this.#most) return undefined;
    this.#candidates ??= this.#present === null ? [] : [...held.keys()];
    for (let name = this.#candidates.pop(); name !== undefined; name = this.#candidates.pop())
      if (held.get(name)?.known.status === "first use" && this.#present?.has(name) === false) return name;
    return null;
  }
}
