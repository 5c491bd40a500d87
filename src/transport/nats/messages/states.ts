// State documents: published whole when something that matters has changed, kept alive by heartbeats of a few bytes in between.
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { AgentName, LIMITS } from "../../../protocol.ts";
import type { Content, Forgotten, StateReader, StateRecord } from "../../../transport.ts";
import type { Bucket, Entry } from "../calls/bucket.ts";
import type { Connection } from "../calls/connection.ts";
import type { KeyedEntry, Streams } from "../calls/streams.ts";
import { KEYS, type Layout } from "../layout.ts";
import { contentOf } from "./commands.ts";

/** The whole document is published at least this often. */
const WHOLE_EVERY_MS = 600_000;
/** A program that reads once takes an agent for there while this entry exists. */
const PRESENCE_TTL_MS = 60_000;
const PRESENCE_EVERY_MS = LIMITS.silentMs / 2;

export interface StatesDeps {
  readonly states: Bucket;
  readonly presence: Bucket;
  readonly streams: Streams;
  readonly connection: Connection;
  readonly layout: Layout;
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
}

/** What this handle has published of one agent, on the monotonic clock. */
interface Published {
  readonly wholeAtMs: number;
  presentAtMs: number;
}

export class States {
  readonly #deps: StatesDeps;
  readonly #published = new Map<string, Published>();

  constructor(deps: StatesDeps) {
    this.#deps = deps;
  }

  async publish(agent: string, text: string): Promise<void> {
    const { states, clock } = this.#deps;
    await states.put(KEYS.state(agent), text);
    // The document itself shows that the agent is there.
    const nowMs = clock.monotonic();
    this.#published.set(agent, { wholeAtMs: nowMs, presentAtMs: nowMs });
  }

  /** A heartbeat, unsigned: it keeps alive what a document called running, and changes nothing else. */
  async renew(agent: string, sequence: number, text: string): Promise<void> {
    const { connection, layout, clock } = this.#deps;
    const published = this.#published.get(agent);
    const nowMs = clock.monotonic();
    if (published === undefined || nowMs - published.wholeAtMs >= WHOLE_EVERY_MS)
      return await this.publish(agent, text);
    connection.nats.publish(layout.heartbeat(agent), String(sequence));
    await connection.flush();
    if (nowMs - published.presentAtMs >= PRESENCE_EVERY_MS) await this.#showPresence(agent, published);
  }

  async #showPresence(agent: string, published: Published): Promise<void> {
    const { presence, clock } = this.#deps;
    const sequence = await this.#ifThere(
      async () => await presence.put(KEYS.agent(agent), "", { ttlMs: PRESENCE_TTL_MS }),
    );
    // Otherwise the next heartbeat tries again.
    if (sequence !== null) published.presentAtMs = clock.monotonic();
  }

  /**
   * After a restart of the server the bucket for presence is missing until gpu-server has made it again. Without it an agent looks
   * silent to programs that read once, and nothing else is wrong.
   */
  async #ifThere<Value>(call: () => Promise<Value>): Promise<Value | null> {
    try {
      return await call();
    } catch (error) {
      this.#deps.log.debug({ error }, "The bucket for presence is not there");
      return null;
    }
  }

  async read(agent: string): Promise<StateRecord | null> {
    const { states, presence } = this.#deps;
    const [entry, present] = await Promise.all([
      states.get(KEYS.state(agent)),
      this.#ifThere(async () => await presence.get(KEYS.agent(agent))),
    ]);
    return entry?.data == null ? null : stateRecord(agent, entry, presentAtMs(present));
  }

  async readAll(): Promise<readonly StateRecord[]> {
    const { streams } = this.#deps;
    const found = await this.#ifThere(async () => await streams.read("presence", KEYS.agent("*")));
    const present = new Map((found ?? []).map((entry) => [entry.key, presentAtMs(entry)]));
    const records = (await streams.read("states", "*")).flatMap((entry) => {
      const agent = agentOf(entry);
      return agent === null ? [] : [stateRecord(agent, entry, present.get(KEYS.agent(agent)) ?? null)];
    });
    return records.toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  }

  reader(): StateReader {
    let known = new Map<string, string>();
    const read: StateReader["read"] = async (changed) => {
      const records = await this.readAll();
      const before = known;
      known = new Map(records.map(({ agent, publishedAtMs, aliveAtMs }) => [agent, `${publishedAtMs} ${aliveAtMs}`]));
      for (const record of records) if (before.get(record.agent) !== known.get(record.agent)) changed(record);
      return new Set(known.keys());
    };
    return { read };
  }

  /**
   * The state last, so that a second attempt finds it after a failure.
   * @returns null when the agent has no document, or has given a sign of life since
   */
  async forget(agent: string, publishedAtMs: number): Promise<Forgotten | null> {
    const { states, presence, streams } = this.#deps;
    const entry = await states.get(KEYS.state(agent));
    // In a reading it may be a millisecond off: NATS gives its time in nanoseconds, which a number does not hold exactly.
    if (entry?.data == null || Math.abs(entry.atMs - publishedAtMs) > 1) return null;
    const commands = (await streams.read("commands", `${agent}.*`)).length;
    // The list first: a command that is sent meanwhile fails instead of waiting for nobody.
    await streams.empty("commands", KEYS.inbox(agent));
    await streams.empty("commands", `${agent}.*`);
    await presence.remove(KEYS.agent(agent));
    return (await states.remove(KEYS.state(agent), entry.sequence)) ? { commands } : null;
  }

  async readRoster(): Promise<Content | null> {
    const entry = await this.#deps.states.get(KEYS.roster);
    return entry?.data == null ? null : contentOf(entry.data, LIMITS.rosterBytes);
  }

  async publishRoster(text: string): Promise<void> {
    await this.#deps.states.put(KEYS.roster, text);
  }
}

/** When the agent last showed that it is there; null: it does not. */
function presentAtMs(entry: Entry | null): number | null {
  return entry?.data == null ? null : entry.atMs;
}

/** @param aliveAtMs when the agent last showed that it is there; null: it does not */
export function stateRecord(agent: string, { data, atMs }: Entry, aliveAtMs: number | null = null): StateRecord {
  const content = contentOf(data ?? new Uint8Array(), LIMITS.stateBytes);
  const isLater = aliveAtMs !== null && aliveAtMs > atMs;
  return { agent, content, publishedAtMs: atMs, ...(isLater ? { aliveAtMs } : {}) };
}

/** Null for a key that is no agent's name. */
export function agentOf({ key }: KeyedEntry): string | null {
  return AgentName.safeParse(key).success ? key : null;
}
