// The streams behind the buckets: made when they are missing, read whole, and emptied by subject. Only programs of the platform's
// side may do that; an agent with plain permissions finds the streams made.
import {
  DeliverPolicy,
  DiscardPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
  type PushConsumer,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { BUCKETS, type BucketName, type Layout } from "../layout.ts";
import { type Entry, isRemoval } from "./bucket.ts";
import { CatchingUp } from "./catching_up.ts";
import { CALL_MS, type Connection } from "./connection.ts";
import { isAlreadyThere } from "./failures.ts";
import { type Settings, settingsOf } from "./settings.ts";

/** Of one entry: a response, which is the largest document, with its headers. */
export const MAX_ENTRY_BYTES = 5 * 1024 * 1024;
const MANAGER = { checkAPI: false, timeout: CALL_MS };
const CHECKED = [
  "storage",
  "max_msgs_per_subject",
  "allow_direct",
  "allow_msg_ttl",
  "allow_rollup_hdrs",
  "max_msg_size",
] as const;

/** An entry as it is delivered, with its key. */
export interface KeyedEntry extends Entry {
  readonly key: string;
}

/** Entries that are delivered one after another, those that are there first. */
export interface Reading {
  /** Resolves when those that were there at the beginning have been delivered. Rejects when that is interrupted. */
  readonly caughtUp: Promise<void>;
  /** Resolves when nothing more is delivered. */
  readonly ended: Promise<void>;
  close(): void;
}

export interface CheckedReading extends Reading {
  /**
   * A server that was killed takes along what it delivers from, and the rest may go on without a word of it.
   * @throws CourierError `unavailable` when nothing more will be delivered
   */
  check(): Promise<void>;
  /** Resolves after `close()`, when the server keeps nothing of it. Never rejects. */
  readonly gone: Promise<void>;
}

export class Streams {
  readonly #connection: Connection;
  readonly #layout: Layout;

  constructor(connection: Connection, layout: Layout) {
    this.#connection = connection;
    this.#layout = layout;
  }

  /** Makes those that are missing. One that another process made is left as it is. */
  async make(replicas: number, buckets: readonly BucketName[] = BUCKETS): Promise<void> {
    for (const bucket of buckets)
      await this.#connection.call(`make the bucket ${bucket}`, async (nats) => {
        const { streams } = await jetstreamManager(nats, MANAGER);
        await streams.add(bucketConfig(this.#layout, bucket, replicas)).catch((error: unknown) => {
          if (!isAlreadyThere(error)) throw error;
        });
      });
  }

  /** How it differs from what this release makes. */
  async settings(bucket: BucketName): Promise<Settings> {
    return await this.#connection.call(`look at the bucket ${bucket}`, async (nats) => {
      const { streams } = await jetstreamManager(nats, MANAGER);
      const found = (await streams.info(this.#layout.stream(bucket))).config;
      return settingsOf(found, bucketConfig(this.#layout, bucket, found.num_replicas), CHECKED);
    });
  }

  /** When it was made, as text that identifies it, and the sequence of the last entry that was put there. */
  async facts(bucket: BucketName): Promise<{ readonly madeAt: string; readonly last: number }> {
    return await this.#connection.call(`look at the bucket ${bucket}`, async (nats) => {
      const { streams } = await jetstreamManager(nats, MANAGER);
      const { created, state } = await streams.info(this.#layout.stream(bucket));
      return { madeAt: created, last: state.last_seq };
    });
  }

  /** Removes every entry whose key fits, without a trace. @param filter a key, with `*` and `>` @returns how many */
  async empty(bucket: BucketName, filter: string): Promise<number> {
    return await this.#connection.call(`empty ${bucket}`, async (nats) => {
      const { streams } = await jetstreamManager(nats, MANAGER);
      const subject = this.#layout.subject(bucket, filter);
      return (await streams.purge(this.#layout.stream(bucket), { filter: subject })).purged;
    });
  }

  /** Delivers the entries whose keys fit, as they are and as they change, until it is closed. */
  async follow(bucket: BucketName, filter: string, deliver: (entry: KeyedEntry) => void): Promise<CheckedReading> {
    let isWanted = true;
    try {
      return await this.#connection.call(`follow ${bucket}`, async (nats) => {
        const reading = await this.#follow(nats, bucket, filter, (entry) => isWanted && deliver(entry));
        // Its caller has heard of an interruption meanwhile.
        if (!isWanted) reading.close();
        return reading;
      });
    } catch (error) {
      isWanted = false;
      throw error;
    }
  }

  async #follow(
    nats: NatsConnection,
    bucket: BucketName,
    filter: string,
    deliver: (entry: KeyedEntry) => void,
  ): Promise<CheckedReading> {
    const consumer = await jetstream(nats, MANAGER).consumers.getPushConsumer(this.#layout.stream(bucket), {
      filter_subjects: this.#layout.subject(bucket, filter),
      deliver_policy: DeliverPolicy.LastPerSubject,
    });
    const gone = Promise.withResolvers<void>();
    const catchingUp = new CatchingUp();
    const prefix = this.#layout.subject(bucket, "").length;
    const messages = await consumer.consume({
      callback: (message) => {
        const entry = keyed(message, prefix);
        deliver(entry);
        catchingUp.delivered(entry.key, entry.sequence);
      },
    });
    const ended = (async () => {
      await messages.closed();
      catchingUp.stop();
    })();
    const { num_pending } = await consumer.info(true);
    const caughtUp = catchingUp.untilDone(num_pending, async () => await this.#lastSequence(nats, bucket, filter));
    caughtUp.catch(() => undefined);
    return {
      caughtUp: this.#connection.call(`read ${bucket}`, async () => await caughtUp),
      ended,
      check: async () => {
        await this.#connection.call(`follow ${bucket}`, async () => await consumer.info());
      },
      close: () => {
        messages.stop();
        gone.resolve(this.#drop(consumer));
      },
      gone: gone.promise,
    };
  }

  /** By the server that leads: another one may not have it yet. */
  async #lastSequence(nats: NatsConnection, bucket: BucketName, filter: string): Promise<number> {
    const { streams } = await jetstreamManager(nats, MANAGER);
    const query = { last_by_subj: this.#layout.subject(bucket, filter) };
    return (await streams.getMessage(this.#layout.stream(bucket), query))?.seq ?? 0;
  }

  /** The server would keep it for five minutes, and has room for a limited number: each list of gpuctl makes some. */
  async #drop(consumer: PushConsumer): Promise<void> {
    try {
      await this.#connection.call("end a reading", async () => await consumer.delete());
    } catch (error) {
      // Then it ends by itself.
      this.#connection.log.debug({ error }, "Cannot end a reading");
    }
  }

  /** The entries that are there. @param filter a key, with `*` and `>` */
  async read(bucket: BucketName, filter: string): Promise<readonly KeyedEntry[]> {
    const found = new Map<string, KeyedEntry>();
    const reading = await this.follow(bucket, filter, (entry) => {
      if (entry.data === null) found.delete(entry.key);
      else found.set(entry.key, entry);
    });
    try {
      await reading.caughtUp;
    } finally {
      reading.close();
      await reading.gone;
    }
    return [...found.values()];
  }
}

/** As this release makes it. @param replicas on how many servers */
export function bucketConfig(
  layout: Layout,
  bucket: BucketName,
  replicas: number,
): Partial<StreamConfig> & { readonly name: string } {
  return {
    name: layout.stream(bucket),
    subjects: [layout.subject(bucket, ">")],
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    // Presence is written again within seconds; everything else has to survive a restart.
    storage: bucket === "presence" ? StorageType.Memory : StorageType.File,
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    max_msg_size: MAX_ENTRY_BYTES,
    allow_direct: true,
    deny_delete: true,
    allow_msg_ttl: true,
    // With them any writer could remove all entries by a header. So there are no markers of entries that expired, which need them.
    allow_rollup_hdrs: false,
  };
}

function keyed({ subject, seq, data, headers, info }: JsMsg, prefix: number): KeyedEntry {
  // As the time in the answer to a direct get is read.
  const atMs = Math.floor(info.timestampNanos / 1e6);
  return { key: subject.slice(prefix), sequence: seq, atMs, data: isRemoval(headers) ? null : data };
}
