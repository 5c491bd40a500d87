// A log that several programs share: a stream whose entries have permanent numbers, each kept under a subject of its own.
import {
  DeliverPolicy,
  DiscardPolicy,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { CALL_MS, type Connection } from "./connection.ts";
import { isAlreadyThere, isWrongSequence } from "./failures.ts";
import { type Settings, settingsOf } from "./settings.ts";

export interface LogOptions {
  /** Of the stream. */
  readonly name: string;
  /** The subjects of its entries begin with it and a dot. */
  readonly prefix: string;
}

/** The settings of a log, from its beginning on. */
export interface LogSettings {
  /** Identifies the log. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The number of its first entry. */
  readonly firstNumber: number;
  readonly mostEntries: number;
  readonly mostBytes: number;
  /** How old an entry may get; 0: any age. */
  readonly keptMs: number;
  readonly replicas: number;
}

export interface LogFacts {
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the log's first entry ever. */
  readonly begunAt: number;
  /** Of the oldest entry that is kept; one more than `last` in an empty log. */
  readonly first: number;
  readonly last: number;
  /** When the oldest entry that is kept was added, in ms on the server's clock; 0 in an empty log. */
  readonly firstAtMs: number;
}

export interface LogEntry {
  readonly number: number;
  /** Its subject, without the prefix. */
  readonly key: string;
  readonly data: Uint8Array;
}

/** Entries that are delivered in the order of their numbers, as they are added. */
export interface LogReading {
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  close(): void;
}

const MANAGER = { checkAPI: false, timeout: CALL_MS };
const MAX_ENTRY_BYTES = 1024 * 1024;
const CHECKED = [
  "subjects",
  "storage",
  "discard",
  "retention",
  "max_msgs",
  "max_bytes",
  "max_age",
  "max_msg_size",
  "deny_delete",
  "deny_purge",
  "allow_direct",
] as const;

export class LogStream {
  readonly name: string;
  readonly #connection: Connection;
  readonly #options: LogOptions;

  constructor(connection: Connection, options: LogOptions) {
    this.name = options.name;
    this.#connection = connection;
    this.#options = options;
  }

  /** Makes it with these settings; one that is there stays as it is. @returns what it is then */
  async open(settings: LogSettings): Promise<LogFacts> {
    const { name } = this.#options;
    return await this.#connection.call(`open the log ${name}`, async (nats) => {
      const { streams } = await jetstreamManager(nats, MANAGER);
      const made = await streams.add(this.#config(settings)).catch((error: unknown) => {
        if (isAlreadyThere(error)) return null;
        throw error;
      });
      return factsOf(made ?? (await streams.info(name)));
    });
  }

  /**
   * Adds an entry, unless there is one under its key. Durable when it resolves.
   * @returns its number; null when there is one, whose number is then at most `facts().last`
   */
  async add(key: string, text: string): Promise<number | null> {
    return await this.#connection.call(`write to ${this.#options.name}`, async (nats) => {
      try {
        const expect = { lastSubjectSequence: 0, streamName: this.#options.name };
        const options = { expect, timeout: CALL_MS, retries: 0 };
        return (await jetstream(nats, MANAGER).publish(`${this.#options.prefix}.${key}`, text, options)).seq;
      } catch (error) {
        if (isWrongSequence(error)) return null;
        throw error;
      }
    });
  }

  /** How it differs from what this release makes. */
  async settings(wanted: Pick<LogSettings, "mostEntries" | "mostBytes" | "keptMs">): Promise<Settings> {
    const { name } = this.#options;
    return await this.#connection.call(`look at ${name}`, async (nats) => {
      const { streams } = await jetstreamManager(nats, MANAGER);
      const found = (await streams.info(name)).config;
      const config = this.#config({ ...wanted, metadata: {}, firstNumber: 1, replicas: found.num_replicas });
      return settingsOf(found, config, CHECKED);
    });
  }

  /**
   * Asks for a write that the log refuses, and adds nothing: it has no such number. This program may write there, then, and
   * somebody is there to take it.
   * @throws CourierError when it may not, or nobody is
   */
  async probe(): Promise<void> {
    const { name, prefix } = this.#options;
    await this.#connection.call(`write to ${name}`, async (nats) => {
      const expect = { lastSequence: Number.MAX_SAFE_INTEGER, streamName: name };
      const options = { expect, timeout: CALL_MS, retries: 0 };
      await jetstream(nats, MANAGER)
        .publish(`${prefix}.-.probe`, "", options)
        .catch((error: unknown) => {
          if (!isWrongSequence(error)) throw error;
        });
    });
  }

  async facts(): Promise<LogFacts> {
    const { name } = this.#options;
    return await this.#connection.call(`look at ${name}`, async (nats) => {
      const { streams } = await jetstreamManager(nats, MANAGER);
      return factsOf(await streams.info(name));
    });
  }

  /** @param from the number of the first entry that is delivered */
  async follow(from: number, deliver: (entry: LogEntry) => void): Promise<LogReading> {
    const { name, prefix } = this.#options;
    return await this.#connection.call(`follow ${name}`, async (nats) => {
      const consumer = await jetstream(nats, MANAGER).consumers.getPushConsumer(name, {
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: from,
      });
      const messages = await consumer.consume({
        callback: (message: JsMsg) => {
          const { seq, subject, data } = message;
          deliver({ number: seq, key: subject.slice(prefix.length + 1), data });
        },
      });
      return { ended: messages.closed().then(() => undefined), close: () => messages.stop() };
    });
  }

  #config({ metadata, firstNumber, mostEntries, mostBytes, keptMs, replicas }: LogSettings) {
    const { name, prefix } = this.#options;
    return {
      name,
      subjects: [`${prefix}.>`],
      metadata: { ...metadata, [BEGUN_AT]: String(firstNumber) },
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      storage: StorageType.File,
      num_replicas: replicas,
      max_msgs: mostEntries,
      max_bytes: mostBytes,
      max_age: nanos(keptMs),
      max_msg_size: MAX_ENTRY_BYTES,
      deny_delete: true,
      deny_purge: true,
      allow_direct: true,
      // Without it, it is 1, which the server does not accept as a setting.
      ...(firstNumber > 1 ? { first_seq: firstNumber } : {}),
    };
  }
}

const BEGUN_AT = "gpu-courier-begun-at";

function factsOf({ config, state }: StreamInfo): LogFacts {
  const { metadata = {} } = config;
  const isEmpty = state.messages === 0;
  return {
    metadata,
    begunAt: Number(metadata[BEGUN_AT] ?? 1),
    first: isEmpty ? state.last_seq + 1 : state.first_seq,
    last: state.last_seq,
    firstAtMs: isEmpty ? 0 : Date.parse(state.first_ts) || 0,
  };
}
