// Responses on their way to their address.
import { KEPT_MS } from "../../retention.ts";
import type { Bucket } from "../calls/bucket.ts";
import { KEYS } from "../layout.ts";

export class Responses {
  readonly #bucket: Bucket;
  readonly #agent: string;
  readonly #isClustered: () => boolean;

  /** @param agent whose answers these are: it may write under its own name only */
  constructor(bucket: Bucket, agent: string, isClustered: () => boolean) {
    this.#bucket = bucket;
    this.#agent = agent;
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

  /**
   * With several servers the one that answers may be behind: an address that is not there may be in use. A response that nobody
   * waits for is gone within an hour; one that is missing never comes.
   */
  async #isInUse(replyTo: string): Promise<boolean> {
    const entry = await this.#bucket.get(KEYS.sender(replyTo));
    return entry === null ? this.#isClustered() : entry.data !== null;
  }
}
