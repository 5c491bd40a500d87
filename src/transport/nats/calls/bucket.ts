// One bucket: entries by key, of which the last is kept. Every request has its key in its subject, so that permissions hold.
import { jetstream } from "@nats-io/jetstream";
import { headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import type { BucketName, Layout } from "../layout.ts";
import { CALL_MS, type Connection } from "./connection.ts";
import { isWrongSequence } from "./failures.ts";

/** What the server has under a key: the last entry, or that it was removed. */
export interface Entry {
  readonly sequence: number;
  /** When it was stored, in ms on the server's clock. */
  readonly atMs: number;
  /** Null when the key was removed. */
  readonly data: Uint8Array | null;
}

export interface PutOptions {
  /** The entry is removed after this long. */
  readonly ttlMs?: number;
  /** Only if the last entry of this key has this sequence; 0: the key was never there. */
  readonly ifSequence?: number;
}

/** How long a removed key is remembered as removed, for watchers that were away. */
const MARKER_TTL = "3600s";
const OPERATION = "KV-Operation";

export class Bucket {
  readonly name: BucketName;
  readonly #connection: Connection;
  readonly #layout: Layout;

  constructor(connection: Connection, layout: Layout, name: BucketName) {
    this.#connection = connection;
    this.#layout = layout;
    this.name = name;
  }

  /** @returns null when the key was never there, or is long gone */
  async get(key: string): Promise<Entry | null> {
    const subject = this.#layout.getSubject(this.name, key);
    return await this.#connection.call(`read ${this.name}`, async (nats) => {
      return answeredEntry(await nats.request(subject, undefined, { timeout: CALL_MS }));
    });
  }

  /** @returns its sequence; null when `ifSequence` does not hold */
  async put(key: string, text: string, { ttlMs, ifSequence }: PutOptions = {}): Promise<number | null> {
    return await this.#publish(key, text, {
      ...(ttlMs === undefined ? {} : { ttl: `${Math.max(1, Math.ceil(ttlMs / 1000))}s` }),
      ...(ifSequence === undefined ? {} : { expect: { lastSubjectSequence: ifSequence } }),
    });
  }

  /** @returns false when `ifSequence` does not hold */
  async remove(key: string, ifSequence?: number): Promise<boolean> {
    const purge = headers();
    purge.set(OPERATION, "PURGE");
    const sequence = await this.#publish(key, "", {
      headers: purge,
      ttl: MARKER_TTL,
      ...(ifSequence === undefined ? {} : { expect: { lastSubjectSequence: ifSequence } }),
    });
    return sequence !== null;
  }

  async #publish(
    key: string,
    text: string,
    options: Partial<{ headers: MsgHdrs; ttl: string; expect: { lastSubjectSequence: number } }>,
  ): Promise<number | null> {
    const subject = this.#layout.subject(this.name, key);
    return await this.#connection.call(`write ${this.name}`, async (nats) => {
      try {
        return (await jetstream(nats).publish(subject, text, { ...options, timeout: CALL_MS, retries: 0 })).seq;
      } catch (error) {
        if (isWrongSequence(error)) return null;
        throw error;
      }
    });
  }
}

/** Whether the message removes its key: it takes the place of the entry, until it expires itself. */
export function isRemoval(found: MsgHdrs | undefined): boolean {
  return found?.has(OPERATION) === true;
}

function answeredEntry(message: Msg): Entry | null {
  const { headers: found, data } = message;
  if (found?.code === 404) return null;
  if (found === undefined) throw new Error("its answer has no sequence or no time");
  if (found.hasError) throw new Error(`it answers with status ${found.code}`);
  const sequence = Number(found.get("Nats-Sequence"));
  const atMs = Date.parse(found.get("Nats-Time-Stamp"));
  if (!Number.isSafeInteger(sequence) || Number.isNaN(atMs)) throw new Error("its answer has no sequence or no time");
  return { sequence, atMs, data: isRemoval(found) ? null : data };
}
