// Responses on their way to their address.
import type { Clock } from "../../../base/clock.ts";
import { KEPT_MS } from "../../retention.ts";
import type { Bucket } from "../calls/bucket.ts";
import { KEYS } from "../layout.ts";

/** With several servers the one that answers may be behind: an address that is not there is looked for again. */
const LOOKS = { isClustered: 3, alone: 1 };
const PAUSE_MS = 200;

export class Responses {
  readonly #bucket: Bucket;
  readonly #agent: string;
  readonly #clock: Pick<Clock, "sleep">;
  readonly #isClustered: () => boolean;

  /** @param agent whose answers these are: it may write under its own name only */
  constructor(bucket: Bucket, agent: string, clock: Pick<Clock, "sleep">, isClustered: () => boolean) {
    this.#bucket = bucket;
    this.#agent = agent;
    this.#clock = clock;
    this.#isClustered = isClustered;
  }

  /** @returns false when nobody waits there */
  async publish(replyTo: string, id: string, text: string): Promise<boolean> {
    if (!(await this.#isInUse(replyTo))) return false;
    await this.#bucket.put(KEYS.response(replyTo, this.#agent, id), text, { ttlMs: KEPT_MS.response });
    return true;
  }

  async publishedAtMs(replyTo: string, id: string): Promise<number | null> {
    const entry = await this.#bucket.get(KEYS.response(replyTo, this.#agent, id));
    return entry?.data == null ? null : entry.atMs;
  }

  async #isInUse(replyTo: string): Promise<boolean> {
    const looks = this.#isClustered() ? LOOKS.isClustered : LOOKS.alone;
    for (let look = 1; look <= looks; look++) {
      const entry = await this.#bucket.get(KEYS.sender(replyTo));
      if (entry !== null) return entry.data !== null;
      if (look < looks) await this.#clock.sleep(PAUSE_MS);
    }
    return false;
  }
}
