// Follows the state documents of several transports as those of one: a transport that is away holds up none of the others.
import type { Clock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { LIMITS } from "../../protocol.ts";
import type { Closable, StateRecord, StateWatcher } from "../../transport.ts";
import type { Member } from "./member.ts";
import type { States } from "./states.ts";

export interface WatchDeps {
  readonly members: readonly Member[];
  readonly states: States;
  readonly watcher: StateWatcher;
  readonly clock: Clock;
}

/** Where the documents under one name are. */
interface Place {
  home: Member;
  /** With how many of its changes were seen. */
  readonly on: Map<Member, number>;
  /** When `home` last showed a sign of life, on the monotonic clock. */
  seenAtMs: number;
  settling: Promise<void> | null;
  /** Something changed while it was being settled. */
  mustSettle: boolean;
}

/** Whether one transport can be read, and when it was. */
interface Reading {
  /** Null: it can be read, as far as is known. */
  failure: Error | null;
  /** Its driver reported it, and will report the end. */
  isInterrupted: boolean;
  /** When its last look that is not yet reported began; null: there was none since. */
  syncedAtMs: number | null;
}

const RETRY_MS = 1_000;
/** The others do not wait longer for a transport that hangs at the start. */
const FIRST_LOOK_MS = 5_000;

export class MergedWatch {
  readonly #deps: WatchDeps;
  readonly #places = new Map<string, Place>();
  /** Names that several transports have. */
  readonly #contested = new Set<string>();
  /**
   * Documents of agents that stopped, until the first look at everything is over: an agent that moved has another one elsewhere, and
   * a reader that knows that one takes this one for a copy. Null: it is over.
   */
  #held: Map<string, StateRecord> | null = new Map();
  readonly #readings: ReadonlyMap<Member, Reading>;
  readonly #closed = new AbortController();
  readonly #open: Closable[] = [];
  /** Whether `watcher` knows that nothing can be read. */
  #isInterrupted = false;
  #isSyncing = false;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#readings = new Map(deps.members.map((member) => [member, newReading()]));
  }

  /** Resolves once one transport is followed. @throws CourierError when none can be */
  async open(): Promise<void> {
    const { members, clock } = this.#deps;
    if (!members.some(({ isConnected }) => isConnected))
      throw new CourierError("unavailable", "Cannot watch states: no transport is connected");
    const attempts = members.map((member) => ({ member, first: Promise.withResolvers<void>() }));
    for (const { member, first } of attempts) void this.#follow(member, first);
    try {
      await Promise.any(attempts.map(async ({ first }) => await first.promise));
    } catch (error) {
      await this.close();
      throw asCourierError(error instanceof AggregateError ? error.errors[0] : error);
    }
    void clock.sleep(FIRST_LOOK_MS, this.#closed.signal).then(() => this.#leaveOutLate());
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all(this.#open.splice(0).map(async (watch) => await watch.close()));
  }

  /** Tries until it can be followed: then its driver goes on by itself. */
  async #follow(member: Member, first: PromiseWithResolvers<void>): Promise<void> {
    while (!this.#closed.signal.aborted) {
      try {
        await member.connect();
        await this.#subscribe(member);
        first.resolve();
        return;
      } catch (error) {
        this.#interrupted(member, asCourierError(error));
        first.reject(error);
      }
      await this.#deps.clock.sleep(RETRY_MS, this.#closed.signal);
    }
  }

  async #subscribe(member: Member): Promise<void> {
    const unlessClosed =
      <Given extends readonly unknown[]>(call: (...given: Given) => void) =>
      (...given: Given): void => {
        if (!this.#closed.signal.aborted) call(...given);
      };
    const watch = await member.transport.watchStates({
      changed: unlessClosed((record) => this.#changed(member, record)),
      alive: unlessClosed((agent, sequence) => this.#alive(member, agent, sequence)),
      removed: unlessClosed((agent) => this.#removed(member, agent)),
      synced: unlessClosed((asOfMs) => this.#synced(member, asOfMs)),
      interrupted: unlessClosed((error) => this.#interrupted(member, error, true)),
      restored: unlessClosed(() => this.#restored(member)),
      away: unlessClosed((agent, error) => this.#deps.watcher.away(agent, error)),
    });
    if (this.#closed.signal.aborted) await watch.close();
    else this.#open.push(watch);
  }

  #changed(member: Member, record: StateRecord): void {
    const { agent } = record;
    const { watcher, states, clock } = this.#deps;
    const place = this.#places.get(agent) ?? this.#newPlace(agent, member);
    place.on.set(member, (place.on.get(member) ?? 0) + 1);
    if (place.on.size > 1) this.#contested.add(agent);
    if (place.home !== member) return this.#settle(agent, place);
    place.seenAtMs = clock.monotonic();
    states.setHome(agent, member);
    this.#held?.delete(agent);
    if (this.#held !== null && place.on.size === 1 && hasStopped(record)) this.#held.set(agent, record);
    else watcher.changed(record);
  }

  #newPlace(agent: string, home: Member): Place {
    const place = { home, on: new Map(), seenAtMs: 0, settling: null, mustSettle: false };
    this.#places.set(agent, place);
    return place;
  }

  #alive(member: Member, agent: string, sequence: number): void {
    const place = this.#places.get(agent);
    if (place?.home !== member) return;
    place.seenAtMs = this.#deps.clock.monotonic();
    this.#deps.watcher.alive(agent, sequence);
  }

  #removed(member: Member, agent: string): void {
    const place = this.#places.get(agent);
    if (place === undefined || !place.on.delete(member)) return;
    if (place.on.size < 2) this.#contested.delete(agent);
    if (place.on.size > 0) return place.home === member ? this.#settle(agent, place) : undefined;
    this.#places.delete(agent);
    this.#held?.delete(agent);
    this.#deps.states.setHome(agent, null);
    this.#deps.watcher.removed(agent);
  }

  /** Looks at all documents under a name, and follows the one that counts. */
  #settle(agent: string, place: Place): void {
    place.mustSettle = true;
    place.settling ??= this.#settleNow(agent, place).finally(() => {
      place.settling = null;
      if (place.mustSettle && !this.#closed.signal.aborted) this.#settle(agent, place);
    });
  }

  async #settleNow(agent: string, place: Place): Promise<void> {
    const { watcher, states, clock } = this.#deps;
    while (place.mustSettle && !this.#closed.signal.aborted) {
      place.mustSettle = false;
      const before = new Map(place.on);
      // Without a document to choose from, the next change or look tries again.
      const choice = await states.find(agent, before).catch(() => null);
      const { member, record } = choice?.used ?? {};
      if (member === undefined || record === undefined || this.#closed.signal.aborted) continue;
      // A newer one that came meanwhile is looked at again: it must not be followed by this one.
      const isNewest = place.on.get(member) === before.get(member);
      if (this.#places.get(agent) !== place || place.home === member || !isNewest) continue;
      place.home = member;
      place.seenAtMs = clock.monotonic();
      states.setHome(agent, member);
      this.#held?.delete(agent);
      watcher.changed(record);
      watcher.away(agent, this.#isInterrupted ? null : (this.#readings.get(member)?.failure ?? null));
    }
  }

  #synced(member: Member, asOfMs: number): void {
    const reading = this.#readings.get(member);
    if (reading === undefined) return;
    reading.syncedAtMs = asOfMs;
    // It could not be reached at first.
    if (reading.failure !== null && !reading.isInterrupted) this.#restored(member);
    void this.#sync();
  }

  /** Reports a look at everything, once each transport that can be read has had one since the last. */
  async #sync(): Promise<void> {
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    try {
      while (this.#isDue()) {
        const asOfMs = Math.min(...this.#due().map(({ syncedAtMs }) => syncedAtMs ?? Number.POSITIVE_INFINITY));
        for (const reading of this.#readings.values()) reading.syncedAtMs = null;
        await this.#settleContested();
        if (this.#closed.signal.aborted) return;
        this.#deliverHeld();
        this.#deps.watcher.synced(asOfMs);
      }
    } finally {
      this.#isSyncing = false;
    }
  }

  #deliverHeld(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const [, record] of held) this.#deps.watcher.changed(record);
  }

  #due(): readonly Reading[] {
    return [...this.#readings.values()].filter(({ failure }) => failure === null);
  }

  #isDue(): boolean {
    const due = this.#due();
    return due.length > 0 && due.every(({ syncedAtMs }) => syncedAtMs !== null);
  }

  /** Another transport may have an agent whose home has become silent. */
  async #settleContested(): Promise<void> {
    const places = [...this.#contested].flatMap((agent) => {
      const place = this.#places.get(agent);
      return place === undefined ? [] : [{ agent, place }];
    });
    const nowMs = this.#deps.clock.monotonic();
    for (const { agent, place } of places) {
      if (nowMs - place.seenAtMs < LIMITS.silentMs) continue;
      place.seenAtMs = nowMs;
      this.#settle(agent, place);
    }
    await Promise.all(places.map(async ({ place }) => await place.settling));
  }

  /** @param byDriver which will report the end */
  #interrupted(member: Member, error: Error, byDriver = false): void {
    const reading = this.#readings.get(member);
    if (reading === undefined || this.#closed.signal.aborted) return;
    member.failed(error);
    reading.isInterrupted ||= byDriver;
    const wasRead = reading.failure === null;
    reading.failure = error;
    if (!wasRead) return;
    if (this.#due().length > 0) {
      this.#tellAway(member, error);
      // The others no longer wait for it.
      void this.#sync();
    } else if (!this.#isInterrupted && this.#open.length > 0) {
      this.#isInterrupted = true;
      this.#deps.watcher.interrupted(error);
    }
  }

  #restored(member: Member): void {
    const reading = this.#readings.get(member);
    if (reading === undefined || reading.failure === null) return;
    member.recovered();
    reading.failure = null;
    reading.isInterrupted = false;
    if (!this.#isInterrupted) return this.#tellAway(member, null);
    this.#isInterrupted = false;
    for (const [each, { failure }] of this.#readings) this.#tellAway(each, failure);
    this.#deliverHeld();
    this.#deps.watcher.synced(reading.syncedAtMs ?? this.#deps.clock.monotonic());
    reading.syncedAtMs = null;
    this.#deps.watcher.restored();
  }

  #tellAway(member: Member, error: Error | null): void {
    for (const [agent, { home }] of this.#places) if (home === member) this.#deps.watcher.away(agent, error);
  }

  #leaveOutLate(): void {
    if (this.#closed.signal.aborted) return;
    for (const [member, reading] of this.#readings)
      if (!member.isConnected && reading.failure === null)
        this.#interrupted(member, new CourierError("unavailable", `${member.description} has not been reached yet`));
  }
}

/** As agents write it. */
function hasStopped({ content }: StateRecord): boolean {
  return "text" in content && content.text.includes('"status":"stopped"');
}

function newReading(): Reading {
  return { failure: null, isInterrupted: false, syncedAtMs: null };
}
