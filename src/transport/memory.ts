// The memory transport: the reference for every driver, and the base for tests of the layers above. Ends with its process.
import { about, type Check } from "../base/check.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { CourierError } from "../base/errors.ts";
import { LIMITS } from "../protocol.ts";
import type {
  Closable,
  Content,
  Delivery,
  Forgotten,
  Holder,
  Inbox,
  Listener,
  Reply,
  ReplyAddress,
  Sent,
  StateReader,
  StateRecord,
  StateWatcher,
  SweepScope,
  Swept,
  Transport,
} from "../transport.ts";
import { Closables } from "./closables.ts";
import { delivery, type Entry, holds, inOrder, removeWhere, stateRecord } from "./memory/entries.ts";
import { inboxKey, replyKey, requireAgentName } from "./memory/keys.ts";
import { isOverdue, KEPT_MS } from "./retention.ts";
import { WaitingRoom } from "./waiting_room.ts";

const SIGN_OF_LIFE_MS = 3_600_000;
const SYNCED_EVERY_MS = 1_000;

interface Subscription {
  /** Its present entries are delivered too. */
  readonly entries: Map<string, Entry>;
  readonly notify: (id: string, entry: Entry) => void;
}

/** The state that handles share, as they share a folder elsewhere. */
export class MemoryStore {
  readonly inboxes = new Map<string, Map<string, Entry>>();
  readonly replies = new Map<string, Map<string, Entry>>();
  /** When the owner of an address for replies last gave a sign of life. */
  readonly aliveAtMs = new Map<string, number>();
  readonly states = new Map<string, Entry>();
  roster: string | null = null;
  /** By delivery key; the text is the holder's instance. */
  readonly claims = new Map<string, Entry>();
  readonly subscriptions = new Set<Subscription>();
  /** Each calls its watcher later, unless that is closed by then. */
  readonly stateWatchers = new Set<(call: (watcher: StateWatcher) => void) => void>();
  readonly clock: Clock;
  readonly hasHeartbeats: boolean;
  #away: CourierError | undefined;

  /** @param hasHeartbeats as a message bus has them; otherwise a heartbeat is the whole document, as on a share */
  constructor(clock: Clock = systemClock, hasHeartbeats = false) {
    this.clock = clock;
    this.hasHeartbeats = hasHeartbeats;
    this.inboxes.set("shared", new Map());
    this.replies.set("shared", new Map());
  }

  /** Another process's handle on this store. @param clock the one that process waits by */
  open(clock: Clock = this.clock): Transport {
    return new MemoryTransport(this, clock);
  }

  put(entries: Map<string, Entry>, id: string, text: string): void {
    const entry = { text, atMs: this.clock.now() };
    entries.set(id, entry);
    for (const { entries: watched, notify } of this.subscriptions) if (watched === entries) notify(id, entry);
  }

  /** Makes every call fail until `restore()`, as a transport that is away. */
  interrupt(error: CourierError): void {
    this.#away = error;
    this.#notify((watcher) => watcher.interrupted(error));
  }

  restore(clock: Clock = this.clock): void {
    this.#away = undefined;
    this.#notify((watcher) => {
      watcher.synced(clock.monotonic());
      watcher.restored();
    });
  }

  #notify(call: (watcher: StateWatcher) => void): void {
    for (const later of this.stateWatchers) later(call);
  }

  get away(): CourierError | undefined {
    return this.#away;
  }

  /** As an operator does by hand. */
  removeState(agent: string): void {
    if (this.states.delete(agent)) this.#notify((watcher) => watcher.removed(agent));
  }
}

class MemoryTransport implements Transport {
  readonly description = "memory";
  readonly hasSharedInbox = true;
  readonly mostStates = LIMITS.states;
  readonly lookEveryMs = 0;
  readonly #store: MemoryStore;
  readonly #clock: Clock;
  readonly #open = new Closables();
  #connected = false;

  constructor(store: MemoryStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  async connect(): Promise<void> {
    this.#connected = true;
  }

  async close(): Promise<void> {
    this.#connected = false;
    await this.#open.close();
  }

  now(): number {
    return this.#store.clock.now();
  }

  async *examine(): AsyncIterable<Check> {
    yield about("memory").ok("Exists in this process only");
  }

  async send(inbox: Inbox, id: string, text: string): Promise<void> {
    this.#store.put(this.#inbox(inbox), id, text);
  }

  async withdraw(inbox: Inbox, id: string): Promise<boolean> {
    this.#requireConnected();
    return this.#store.inboxes.get(inboxKey(inbox))?.delete(id) ?? false;
  }

  async openReplies(
    address: ReplyAddress,
    wanted: (id: string) => boolean,
    accept: (reply: Reply) => boolean,
  ): Promise<Closable> {
    this.#requireConnected();
    const key = replyKey(address);
    const entries = this.#store.replies.get(key) ?? new Map<string, Entry>();
    const subscription = this.#subscribe(entries, (id, { text }) => {
      if (wanted(id)) accept({ id, content: { text } });
    });
    if (address === "shared") return subscription;
    const closed = new AbortController();
    void this.#stayAlive(key, entries, closed.signal);
    return this.#open.add(async () => {
      closed.abort();
      await subscription.close();
      this.#forgetAddress(key);
    });
  }

  async releaseReply(address: ReplyAddress, id: string): Promise<void> {
    this.#requireConnected();
    this.#store.replies.get(replyKey(address))?.delete(id);
  }

  async openInbox(inbox: Inbox): Promise<void> {
    this.#requireConnected();
    const key = inboxKey(inbox);
    if (!this.#store.inboxes.has(key)) this.#store.inboxes.set(key, new Map());
  }

  async receive(inbox: Inbox, listener: Listener): Promise<Closable> {
    const entries = this.#inbox(inbox);
    const room = new WaitingRoom({ listener, isThere: (found) => holds(entries, found), clock: this.#clock });
    const subscription = this.#subscribe(entries, (id, entry) => room.offer(delivery(inbox, id, entry)));
    // After the deliveries that are on their way.
    queueMicrotask(() => listener.complete?.());
    return this.#open.add(async () => {
      room.close();
      await subscription.close();
    });
  }

  async commandsIn(inbox: Inbox, wanted: (id: string) => boolean, most: number): Promise<readonly Sent[]> {
    const found = [...this.#inbox(inbox)].filter(([id]) => wanted(id));
    return found.slice(0, most).map(([id, { atMs }]) => ({ id, sentAtMs: atMs }));
  }

  async isUnchanged(found: Delivery): Promise<boolean> {
    return holds(this.#inbox(found.inbox), found);
  }

  async claim({ key }: Delivery, { instance }: Holder): Promise<boolean> {
    this.#requireConnected();
    const claim = this.#store.claims.get(key) ?? { text: instance, atMs: this.now() };
    this.#store.claims.set(key, claim);
    return claim.text === instance;
  }

  async claimedBy({ instance }: Holder): Promise<readonly Delivery[]> {
    const present = inOrder(this.#inbox("shared")).map(([id, entry]) => delivery("shared", id, entry));
    return present.filter(({ key }) => this.#store.claims.get(key)?.text === instance);
  }

  async release(found: Delivery): Promise<boolean> {
    return (await this.isUnchanged(found)) && this.#inbox(found.inbox).delete(found.id);
  }

  async respond(address: ReplyAddress, id: string, text: string): Promise<boolean> {
    this.#requireConnected();
    const entries = this.#store.replies.get(replyKey(address));
    if (entries === undefined) return false;
    this.#store.put(entries, id, text);
    return true;
  }

  async respondedAtMs(address: ReplyAddress, id: string): Promise<number | null> {
    this.#requireConnected();
    return this.#store.replies.get(replyKey(address))?.get(id)?.atMs ?? null;
  }

  async sweep(scope: SweepScope): Promise<Swept> {
    this.#requireConnected();
    const { inboxes, replies } = this.#store;
    const removed = { commands: 0, responses: 0, claims: 0, addresses: 0, unfinished: 0 };
    const swept = { removed, more: false };
    for (const key of scope === "everything" ? inboxes.keys() : [inboxKey(scope)])
      removed.commands += this.#sweepInbox(key);
    if (scope !== "everything") return swept;
    for (const entries of replies.values())
      removed.responses += removeWhere(entries, (_, { atMs }) => this.#ageMs(atMs) >= KEPT_MS.response);
    removed.claims = this.#sweepClaims();
    removed.addresses = this.#sweepAddresses();
    return swept;
  }

  async publishState(agent: string, text: string): Promise<void> {
    this.#requireConnected();
    this.#store.put(this.#store.states, agent, text);
  }

  async renewState(agent: string, sequence: number, text: string): Promise<void> {
    if (!this.#store.hasHeartbeats) return await this.publishState(agent, text);
    this.#requireConnected();
    for (const later of this.#store.stateWatchers) later((watcher) => watcher.alive(agent, sequence));
  }

  async watchStates(watcher: StateWatcher): Promise<Closable> {
    this.#requireConnected();
    const { states, stateWatchers } = this.#store;
    const closed = new AbortController();
    const subscription = this.#subscribe(states, (agent, entry) => watcher.changed(stateRecord(agent, entry)));
    const later = (call: (to: StateWatcher) => void): void =>
      queueMicrotask(() => {
        if (!closed.signal.aborted) call(watcher);
      });
    stateWatchers.add(later);
    void this.#staySynced(watcher, closed.signal);
    return this.#open.add(async () => {
      closed.abort();
      stateWatchers.delete(later);
      await subscription.close();
    });
  }

  async forget(agent: string, publishedAtMs: number): Promise<Forgotten | null> {
    this.#requireConnected();
    requireAgentName(agent);
    const { states, inboxes } = this.#store;
    if (states.get(agent)?.atMs !== publishedAtMs) return null;
    const key = inboxKey({ agent });
    const commands = inboxes.get(key)?.size ?? 0;
    inboxes.delete(key);
    this.#store.removeState(agent);
    return { commands };
  }

  async readStates(): Promise<readonly StateRecord[]> {
    this.#requireConnected();
    const entries = [...this.#store.states].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([agent, entry]) => stateRecord(agent, entry));
  }

  openStates(): StateReader {
    let known = new Map<string, Entry>();
    const read: StateReader["read"] = async (changed) => {
      this.#requireConnected();
      const before = known;
      known = new Map(this.#store.states);
      for (const [agent, entry] of known) if (before.get(agent) !== entry) changed(stateRecord(agent, entry));
      return new Set(known.keys());
    };
    return { read };
  }

  async readState(agent: string): Promise<StateRecord | null> {
    this.#requireConnected();
    const entry = this.#store.states.get(agent);
    return entry === undefined ? null : stateRecord(agent, entry);
  }

  async readRoster(): Promise<Content | null> {
    this.#requireConnected();
    const { roster } = this.#store;
    if (roster === null) return null;
    return roster.length > LIMITS.rosterBytes
      ? { refused: `is larger than ${LIMITS.rosterBytes} bytes` }
      : { text: roster };
  }

  async publishRoster(text: string): Promise<void> {
    this.#requireConnected();
    this.#store.roster = text;
  }

  #sweepInbox(key: string): number {
    const inbox: Inbox = key === "shared" ? "shared" : { agent: key };
    const entries = this.#store.inboxes.get(key) ?? new Map<string, Entry>();
    return removeWhere(entries, (_, { text, atMs }) => isOverdue(inbox, { text }, this.#ageMs(atMs)));
  }

  #sweepClaims(): number {
    const present = this.#inbox("shared");
    return removeWhere(this.#store.claims, (key, { atMs }) => {
      return this.#ageMs(atMs) >= KEPT_MS.claim && !present.has(key.split("~")[0] ?? "");
    });
  }

  #sweepAddresses(): number {
    const { aliveAtMs, replies } = this.#store;
    const over = removeWhere(aliveAtMs, (key, atMs) => {
      return this.#ageMs(atMs) >= KEPT_MS.address && replies.get(key)?.size === 0;
    });
    for (const key of replies.keys()) if (key !== "shared" && !aliveAtMs.has(key)) replies.delete(key);
    return over;
  }

  #ageMs(atMs: number): number {
    return this.now() - atMs;
  }

  /** Gives a sign of life each hour until it is closed, and restores an address that was swept. */
  async #stayAlive(key: string, entries: Map<string, Entry>, closed: AbortSignal): Promise<void> {
    while (!closed.aborted) {
      this.#store.replies.set(key, entries);
      this.#store.aliveAtMs.set(key, this.now());
      await this.#clock.sleep(SIGN_OF_LIFE_MS, closed);
    }
  }

  async #staySynced(watcher: StateWatcher, closed: AbortSignal): Promise<void> {
    // After the documents that are on their way.
    await Promise.resolve();
    while (!closed.aborted) {
      if (this.#store.away === undefined) watcher.synced(this.#clock.monotonic());
      await this.#clock.sleep(SYNCED_EVERY_MS, closed);
    }
  }

  #forgetAddress(key: string): void {
    this.#store.replies.delete(key);
    this.#store.aliveAtMs.delete(key);
  }

  #requireConnected(): void {
    if (!this.#connected) throw new CourierError("unavailable", "The memory transport is not connected");
    if (this.#store.away !== undefined) throw this.#store.away;
  }

  #inbox(inbox: Inbox): Map<string, Entry> {
    this.#requireConnected();
    const entries = this.#store.inboxes.get(inboxKey(inbox));
    if (entries !== undefined) return entries;
    throw new CourierError("not_found", `No agent has an inbox as ${inboxKey(inbox)}`);
  }

  /** Delivers asynchronously, as every real transport does: never inside the call that published. */
  #subscribe(entries: Map<string, Entry>, found: (id: string, entry: Entry) => void): Closable {
    let closed = false;
    const later = (id: string, entry: Entry): void =>
      queueMicrotask(() => {
        if (!closed) found(id, entry);
      });
    const subscription = { entries, notify: later };
    this.#store.subscriptions.add(subscription);
    for (const [id, entry] of inOrder(entries)) later(id, entry);
    return this.#open.add(async () => {
      closed = true;
      this.#store.subscriptions.delete(subscription);
    });
  }
}
