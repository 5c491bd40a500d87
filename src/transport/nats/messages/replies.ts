// The replies at a sender's address: the address in use, what arrives there, and what was there before.
import type { Subscription } from "@nats-io/transport-node";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { CommandId, LIMITS } from "../../../protocol.ts";
import type { Closable, Reply } from "../../../transport.ts";
import { type Bucket, isRemoval } from "../calls/bucket.ts";
import type { Connection } from "../calls/connection.ts";
import type { Streams } from "../calls/streams.ts";
import { KEYS, type Layout } from "../layout.ts";
import { contentOf } from "./commands.ts";

export interface RepliesDeps {
  readonly replyTo: string;
  readonly accept: (reply: Reply) => boolean;
  /** The agent that a command of this id was sent to; undefined when this handle did not send it. */
  readonly sentTo: (id: string) => string | undefined;
  readonly bucket: Bucket;
  readonly streams: Streams;
  readonly connection: Connection;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly log: Log;
}

/** An address is in use until its owner gives it up, or has given no sign of life for this long. */
const IN_USE_MS = 2 * 3_600_000;
const SIGN_OF_LIFE_MS = 3_600_000;
const RETRY_MS = 1_000;
/** Answers that are remembered, so that each is delivered once. */
const MOST_SEEN = 20_000;

export class Replies {
  readonly #deps: RepliesDeps;
  readonly #closed = new AbortController();
  /** Of each key, what was delivered last. */
  readonly #seen = new Map<string, number | bigint>();
  #subscription: Subscription | undefined;
  #following: Closable | undefined;
  #restoring: Promise<void> | undefined;

  constructor(deps: RepliesDeps) {
    this.#deps = deps;
  }

  async open(): Promise<void> {
    const { replyTo, bucket, connection, layout } = this.#deps;
    const subject = layout.subject("responses", `${replyTo}.*.*`);
    this.#subscription = await connection.subscribe(subject, ({ subject: arrived, data, headers }) => {
      if (!isRemoval(headers)) this.#arrived(arrived, data);
    });
    // From here on: an interruption in between must not be missed.
    this.#following = connection.follow({ lost: () => undefined, back: () => this.#restore() });
    try {
      await this.#readPresent();
      await bucket.put(KEYS.sender(replyTo), "", { ttlMs: IN_USE_MS });
    } catch (error) {
      // Its caller opens another one.
      await this.#stop();
      throw error;
    }
    void this.#stayInUse();
  }

  async #stop(): Promise<void> {
    this.#closed.abort();
    this.#subscription?.unsubscribe();
    await this.#following?.close();
    await this.#restoring;
  }

  async close(): Promise<void> {
    const { connection, log } = this.#deps;
    await this.#stop();
    if (!connection.isUp) return;
    // Otherwise it is given up when its time is over.
    await this.#giveUp().catch((error: unknown) => {
      log.debug({ error }, "Cannot give up an address for replies");
    });
  }

  async #giveUp(): Promise<void> {
    const { replyTo, bucket, streams } = this.#deps;
    await bucket.remove(KEYS.sender(replyTo));
    await streams.empty("responses", `${replyTo}.*.*`);
  }

  async #readPresent(): Promise<void> {
    const { replyTo, streams, layout } = this.#deps;
    for (const { key, data } of await streams.read("responses", `${replyTo}.*.*`))
      if (data !== null) this.#arrived(layout.subject("responses", key), data);
  }

  #arrived(subject: string, data: Uint8Array): void {
    const [agent = "", id = ""] = subject.split(".").slice(-2);
    if (this.#closed.signal.aborted || !CommandId.safeParse(id).success) return;
    // An agent cannot choose the name in its subjects: the answer of another agent does not count.
    if ((this.#deps.sentTo(id) ?? agent) !== agent) return;
    const hash = Bun.hash(data);
    if (this.#seen.get(`${agent} ${id}`) === hash) return;
    this.#seen.set(`${agent} ${id}`, hash);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > MOST_SEEN && oldest !== undefined) this.#seen.delete(oldest);
    this.#deps.accept({ id, content: contentOf(data, LIMITS.responseBytes) });
  }

  /** After an interruption: what came meanwhile, and the address again, should its time have been over. */
  #restore(): void {
    this.#restoring ??= this.#untilDone(async () => {
      await this.#deps.bucket.put(KEYS.sender(this.#deps.replyTo), "", { ttlMs: IN_USE_MS });
      await this.#readPresent();
    }).finally(() => {
      this.#restoring = undefined;
    });
  }

  async #stayInUse(): Promise<void> {
    const { replyTo, bucket, clock } = this.#deps;
    const { signal } = this.#closed;
    for (;;) {
      await clock.sleep(SIGN_OF_LIFE_MS, signal);
      if (signal.aborted) return;
      await this.#untilDone(async () => {
        await bucket.put(KEYS.sender(replyTo), "", { ttlMs: IN_USE_MS });
      });
    }
  }

  async #untilDone(run: () => Promise<void>): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await run();
        return;
      } catch (error) {
        log.debug({ error }, "Cannot receive replies for now; trying again");
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }
}
