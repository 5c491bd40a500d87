// How many event streams and waiting requests may be open, in all and for each caller.
import { type Caller, describeCaller, isHeldToLimits } from "../access/caller.ts";
import { OpenCounts } from "./open_counts.ts";

/** Each listener holds a connection, whose number is limited, and about 20 kB. */
export const MAX_LISTENERS = 1_000;
/** Of each caller but the tokens of the platform's own backend. */
export const MAX_VIEWER_LISTENERS = 100;

/** How long a caller may wait for the end of a job or a load: proxies often close a connection that is silent for a minute. */
export const MAX_WAIT_S = 60;

export class Listeners {
  readonly #most: number;
  readonly #open = new OpenCounts();

  /** @param most of all tokens together */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many are open. */
  get total(): number {
    return this.#open.total;
  }

  /** Why a caller may not open another; undefined: it may. */
  refusal(caller: Caller): string | undefined {
    if (this.#open.total >= this.#most) return `No more than ${this.#most} listeners are served`;
    const isUser = caller.way === "introspection" || caller.way === "jwt";
    if (!(isUser || isHeldToLimits(caller)) || this.#open.of(caller) < MAX_VIEWER_LISTENERS) return undefined;
    return `${describeCaller(caller)} already has ${MAX_VIEWER_LISTENERS} listeners`;
  }

  /** Counts one in. @returns what counts it out */
  add(caller: Pick<Caller, "name" | "way" | "accounts">): () => void {
    return this.#open.add(caller);
  }
}
