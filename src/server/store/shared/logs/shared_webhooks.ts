// The queues of webhooks of several servers: one of them sends, all know what was sent, and another goes on when that one is gone.
import type { Database } from "bun:sqlite";
import { type Clock, within } from "../../../../base/clock.ts";
import { asCourierError, CourierError } from "../../../../base/errors.ts";
import type { Log } from "../../../../base/log.ts";
import type { LogEntry, LogStream } from "../../../../transport/nats/calls/log_stream.ts";
import { QueueCopy } from "../../../webhooks/queue/queue_copy.ts";
import { QueueEntry } from "../../../webhooks/queue/queue_entry.ts";
import type { SharedChange, SharedQueue } from "../../../webhooks/queue/shared_queue.ts";
import { type CopyReading, followInto } from "./log_copy.ts";

export interface SharedWebhooksDeps {
  readonly stream: Pick<LogStream, "name" | "open" | "add" | "follow">;
  readonly lease: SendersLease;
  readonly replicas: number;
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of the server that sends. */
interface SendersLease {
  readonly isHeld: boolean;
  run(stop: AbortSignal, work: (held: AbortSignal) => Promise<void>): Promise<void>;
}

/** Of the stream: far more than 24 h of events, after which nothing is sent. */
export const WEBHOOKS_KEPT = { mostEntries: 100_000, mostBytes: 256 * 1024 * 1024, keptMs: 7 * 86_400_000 };
/** In the metadata of the stream. */
const QUEUE_ID = "gpu-courier-webhooks";

const AT_ONCE = 100;
const EVERY_MS = 1_000;
/** At the end of a server. */
const LAST_MS = 2_000;

export class SharedWebhooks implements SharedQueue {
  readonly #deps: SharedWebhooksDeps;
  readonly #copy: QueueCopy;
  readonly #listeners = new Set<(changed: ReadonlyMap<string, string>) => void>();
  #woken = new AbortController();

  constructor(deps: SharedWebhooksDeps) {
    this.#deps = deps;
    this.#copy = new QueueCopy(deps.database);
  }

  /** Makes the log if nobody has, and follows it from where the copy ends. */
  async follow(): Promise<CopyReading> {
    const { stream, replicas, log } = this.#deps;
    const metadata = { [QUEUE_ID]: crypto.randomUUID().slice(0, 8) };
    const facts = await stream.open({ metadata, firstNumber: 1, replicas, ...WEBHOOKS_KEPT });
    const id = facts.metadata[QUEUE_ID] ?? "";
    if (!/^[0-9a-f]+$/.test(id))
      throw new CourierError("conflict", `The stream ${stream.name} on NATS is no queue of webhooks`, {
        hint: "Give this installation another --nats-prefix",
      });
    this.#copy.become(id, facts.last);
    const extent = { from: this.#copy.position.last, last: facts.last };
    return await followInto(stream, extent, (entries) => this.#take(entries), log);
  }

  /** Shares what was sent, now and then, until `stop` aborts. @throws CourierError `unavailable`: the rest is shared later */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.#woken = new AbortController();
      await this.#share();
      await this.#deps.clock.sleep(EVERY_MS, AbortSignal.any([stop, this.#woken.signal]));
    }
  }

  get sends(): boolean {
    return this.#deps.lease.isHeld;
  }

  async whileSending(stop: AbortSignal, work: (sending: AbortSignal) => Promise<void>): Promise<void> {
    const { clock, log } = this.#deps;
    await this.#deps.lease.run(stop, async (held) => {
      log.info({}, "This server sends the webhooks now");
      await work(held);
      const shared = this.#share().catch((error: unknown) => log.debug({ error: asCourierError(error) }, "Not shared"));
      await within(clock, LAST_MS, shared, undefined);
    });
  }

  wake(): void {
    this.#woken.abort();
  }

  startOf(target: string): number | null {
    return this.#copy.startOf(target, this.#deps.clock.now());
  }

  doneUpTo(target: string): number {
    return this.#copy.doneUpTo(target);
  }

  async report({ agent, condition, atMs, event }: SharedChange): Promise<void> {
    const key = `agent.${agent}.${this.#copy.lastEventOf(agent)}`;
    await this.#add(key, { kind: "agent", agent, condition, at_ms: Math.round(atMs), event });
  }

  listen(taken: (changed: ReadonlyMap<string, string>) => void): void {
    this.#listeners.add(taken);
  }

  async #share(): Promise<void> {
    for (const entry of this.#copy.unstarted(this.#deps.clock.now())) await this.#add(`target.${entry.target}`, entry);
    for (;;) {
      const done = this.#copy.unshared(AT_ONCE);
      if (done.length === 0) return;
      await Promise.all(done.map(async (entry) => await this.#add(`done.${entry.target}.${entry.id}`, entry)));
      this.#copy.shared(done);
    }
  }

  /** Unless it is there. */
  async #add(key: string, entry: QueueEntry): Promise<void> {
    await this.#deps.stream.add(key, JSON.stringify(entry));
  }

  #take(arrived: readonly LogEntry[]): void {
    const entries = arrived.flatMap(({ number, data }) => {
      const entry = entryOf(data);
      if (entry === undefined) this.#deps.log.warn({ number }, "Skipped an invalid entry of the webhooks on NATS");
      return entry === undefined ? [] : [{ number, entry }];
    });
    this.#copy.take(entries, arrived.at(-1)?.number ?? 0, this.#deps.clock.now());
    const changed = entries.flatMap(({ entry }) =>
      entry.kind === "agent" ? [[entry.agent, entry.condition] as const] : [],
    );
    for (const listener of this.#listeners) listener(new Map(changed));
  }
}

function entryOf(data: Uint8Array): QueueEntry | undefined {
  try {
    return QueueEntry.safeParse(JSON.parse(new TextDecoder().decode(data))).data;
  } catch {
    return undefined;
  }
}
