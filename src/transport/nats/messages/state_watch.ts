// Follows the state documents of all agents: one subscription for the documents, one for the heartbeats.
import type { Subscription } from "@nats-io/transport-node";
import type { Clock } from "../../../base/clock.ts";
import { asCourierError, type CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Closable, StateWatcher } from "../../../transport.ts";
import type { Connection } from "../calls/connection.ts";
import type { CheckedReading, KeyedEntry, Streams } from "../calls/streams.ts";
import { KEYS, type Layout } from "../layout.ts";
import { agentOf, stateRecord } from "./states.ts";

export interface StateWatchDeps {
  readonly watcher: StateWatcher;
  readonly streams: Streams;
  readonly connection: Connection;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly log: Log;
}

const SYNCED_EVERY_MS = 1_000;
const RETRY_MS = 1_000;
const CHECK_EVERY_MS = 5_000;
/** Agents whose documents one watcher follows. */
export const MOST_STATES = 200_000;
/** The only header that a heartbeat may have: the server adds it to a request from another account. */
const REQUEST_INFO = "Nats-Request-Info";
const MOST_DIGITS = 15;
const ZERO = "0".charCodeAt(0);

export class StateWatch {
  readonly #deps: StateWatchDeps;
  readonly #closed = new AbortController();
  /** Of each agent, the entry that was delivered last. */
  readonly #seen = new Map<string, number>();
  #present = new Set<string>();
  /** While all documents are read for the first time: when each agent last showed that it is there, by key. */
  #signs: ReadonlyMap<string, number> = new Map();
  #reading: CheckedReading | undefined;
  #heartbeats: Subscription | undefined;
  #following: Closable | undefined;
  #isInterrupted = false;
  #mustBegin = true;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #leftOut = 0;
  #pause = new AbortController();

  constructor(deps: StateWatchDeps) {
    this.#deps = deps;
  }

  async open(): Promise<void> {
    const { connection, layout } = this.#deps;
    const prefix = layout.heartbeat("").length;
    this.#heartbeats = await connection.subscribe(layout.heartbeat("*"), ({ subject, data, headers }) => {
      const isPlain = headers === undefined || headers.keys().every((name) => name === REQUEST_INFO);
      if (isPlain) this.#heard(subject.slice(prefix), data);
    });
    this.#following = connection.follow({
      lost: (error) => this.#interrupt(error),
      back: () => {
        this.#mustBegin = true;
        this.#pause.abort();
      },
    });
    void this.#run();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#pause.abort();
    this.#heartbeats?.unsubscribe();
    this.#reading?.close();
    await this.#following?.close();
  }

  async #run(): Promise<void> {
    const { connection, clock } = this.#deps;
    while (!this.#isClosed) {
      this.#pause = new AbortController();
      const { signal } = this.#pause;
      if (connection.isUp) await this.#round();
      if (this.#isClosed) return;
      await clock.sleep(this.#mustBegin ? RETRY_MS : SYNCED_EVERY_MS, signal);
    }
  }

  async #round(): Promise<void> {
    const { connection, clock } = this.#deps;
    try {
      if (this.#mustBegin) await this.#begin();
      await this.#check();
      const asOfMs = clock.monotonic();
      await connection.flush();
      this.#synced(asOfMs);
    } catch (error) {
      this.#mustBegin = true;
      if (!this.#isClosed) this.#interrupt(asCourierError(error));
    }
  }

  async #check(): Promise<void> {
    const nowMs = this.#deps.clock.monotonic();
    if (nowMs - this.#checkedAtMs < CHECK_EVERY_MS) return;
    await this.#reading?.check();
    this.#checkedAtMs = nowMs;
  }

  /** Reads all from the beginning; delivers what is new to it, and misses what is gone. */
  async #begin(): Promise<void> {
    const { streams, watcher } = this.#deps;
    this.#reading?.close();
    this.#present = new Set();
    // An interruption from here on makes it begin again.
    this.#mustBegin = false;
    this.#signs = this.#seen.size === 0 ? await this.#readSigns() : new Map();
    const reading = await streams.follow("states", "*", (entry) => this.#found(entry));
    this.#reading = reading;
    void this.#beginAfter(reading);
    await reading.caughtUp;
    this.#signs = new Map();
    for (const agent of this.#seen.keys())
      if (!this.#present.has(agent)) {
        this.#seen.delete(agent);
        if (!this.#isClosed) watcher.removed(agent);
      }
  }

  /** A reading may end by itself, as when the stream is made again. */
  async #beginAfter(reading: CheckedReading): Promise<void> {
    await reading.ended;
    if (this.#reading === reading) this.#mustBegin = true;
  }

  /**
   * Otherwise the whole fleet would look silent until its next heartbeats. They come soon: without the bucket for presence nothing
   * else is wrong.
   */
  async #readSigns(): Promise<ReadonlyMap<string, number>> {
    const { streams, log } = this.#deps;
    const signs = new Map<string, number>();
    try {
      // Only the times: each entry holds a part of what the connection received, with all that came with it.
      const reading = await streams.follow("presence", KEYS.agent("*"), ({ key, atMs, data }) => {
        if (data === null) signs.delete(key);
        else signs.set(key, atMs);
      });
      await reading.caughtUp.finally(() => reading.close());
    } catch (error) {
      log.debug({ error }, "Cannot read which agents are there");
    }
    return signs;
  }

  #found(entry: KeyedEntry): void {
    const { watcher } = this.#deps;
    const agent = agentOf(entry);
    if (agent === null || this.#isClosed) return;
    if (entry.data === null) {
      this.#present.delete(agent);
      if (this.#seen.delete(agent)) watcher.removed(agent);
      return;
    }
    this.#present.add(agent);
    if (this.#seen.get(agent) === entry.sequence) return;
    if (!this.#seen.has(agent) && this.#seen.size >= MOST_STATES) return this.#leaveOut();
    this.#seen.set(agent, entry.sequence);
    watcher.changed(stateRecord(agent, entry, this.#signs.get(KEYS.agent(agent)) ?? null));
  }

  /** Thousands a second come from a large fleet. Only those of known agents count. */
  #heard(agent: string, data: Uint8Array): void {
    const sequence = this.#seen.has(agent) ? countIn(data) : null;
    if (sequence !== null && !this.#isClosed) this.#deps.watcher.alive(agent, sequence);
  }

  #synced(asOfMs: number): void {
    if (this.#isClosed) return;
    const { watcher } = this.#deps;
    watcher.synced(asOfMs);
    if (!this.#isInterrupted) return;
    this.#isInterrupted = false;
    watcher.restored();
  }

  #interrupt(error: CourierError): void {
    if (this.#isInterrupted || this.#isClosed) return;
    this.#isInterrupted = true;
    this.#deps.watcher.interrupted(error);
  }

  #leaveOut(): void {
    this.#leftOut += 1;
    if (this.#leftOut === 1) this.#deps.log.warn({ most: MOST_STATES }, "Too many agents: some are not listed");
  }

  get #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }
}

/** The number that these digits write; null for anything else. */
function countIn(digits: Uint8Array): number | null {
  if (digits.byteLength === 0 || digits.byteLength > MOST_DIGITS) return null;
  let count = 0;
  for (const code of digits) {
    if (code < ZERO || code > ZERO + 9) return null;
    count = 10 * count + code - ZERO;
  }
  return count;
}
