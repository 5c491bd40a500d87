// The memory transport: the reference that every driver is compared with, and what tests of the layers above run on.
// Imports the seam, errors and the clock. Nothing here outlives the process.
import { createHash } from "node:crypto";
import { about, type Check } from "../check.ts";
import { type Clock, systemClock } from "../clock.ts";
import { CourierError } from "../errors.ts";
import type { Closable, Delivery, Inbox, Listener, Reply, ReplyAddress, StateRecord, Transport } from "../transport.ts";

interface Letter {
  readonly text: string;
  readonly atMs: number;
}

interface Subscription {
  /** What lies there already, and what comes. */
  readonly box: Map<string, Letter>;
  readonly notify: (id: string, letter: Letter) => void;
}

/** What handles share; the counterpart of the folder. */
export class MemoryStore {
  readonly inboxes = new Map<string, Map<string, Letter>>();
  readonly replies = new Map<string, Map<string, Letter>>();
  readonly states = new Map<string, Letter>();
  readonly claims = new Map<string, string>();
  readonly subscriptions = new Set<Subscription>();
  readonly clock: Clock;

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
    this.inboxes.set("shared", new Map());
    this.replies.set("shared", new Map());
  }

  /** Another process's handle on this store. */
  open(): Transport {
    return new MemoryTransport(this);
  }

  put(box: Map<string, Letter>, id: string, text: string): void {
    const letter = { text, atMs: this.clock.now() };
    box.set(id, letter);
    for (const { box: watched, notify } of this.subscriptions) if (watched === box) notify(id, letter);
  }
}

class MemoryTransport implements Transport {
  readonly description = "memory";
  readonly #store: MemoryStore;
  readonly #open = new Set<Closable>();
  #connected = false;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  async connect(): Promise<void> {
    this.#connected = true;
  }

  async close(): Promise<void> {
    this.#connected = false;
    for (const subscription of this.#open) await subscription.close();
  }

  now(): number {
    return this.#store.clock.now();
  }

  async *examine(): AsyncIterable<Check> {
    yield about("memory").ok("Lives in this process only");
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
    deliver: (reply: Reply) => void,
  ): Promise<Closable> {
    this.#requireConnected();
    const key = replyKey(address);
    const box = this.#store.replies.get(key) ?? new Map<string, Letter>();
    this.#store.replies.set(key, box);
    const subscription = this.#subscribe(box, (id, { text }) => {
      if (wanted(id)) deliver({ id, content: { text } });
    });
    return this.#closable(async () => {
      await subscription.close();
      if (address !== "shared") this.#store.replies.delete(key);
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
    return this.#subscribe(this.#inbox(inbox), (id, letter) => listener.deliver(delivery(inbox, id, letter)));
  }

  async isUnchanged({ inbox, id, key }: Delivery): Promise<boolean> {
    const letter = this.#inbox(inbox).get(id);
    return letter !== undefined && delivery(inbox, id, letter).key === key;
  }

  async claim({ key }: Delivery, holder: { readonly agent: string; readonly instance: string }): Promise<boolean> {
    this.#requireConnected();
    const { claims } = this.#store;
    if (!claims.has(key)) claims.set(key, holder.instance);
    return claims.get(key) === holder.instance;
  }

  async release(found: Delivery): Promise<void> {
    if (await this.isUnchanged(found)) this.#inbox(found.inbox).delete(found.id);
  }

  async respond(address: ReplyAddress, id: string, text: string): Promise<boolean> {
    this.#requireConnected();
    const box = this.#store.replies.get(replyKey(address));
    if (box === undefined) return false;
    this.#store.put(box, id, text);
    return true;
  }

  async respondedAtMs(address: ReplyAddress, id: string): Promise<number | null> {
    this.#requireConnected();
    return this.#store.replies.get(replyKey(address))?.get(id)?.atMs ?? null;
  }

  async publishState(agent: string, text: string): Promise<void> {
    this.#requireConnected();
    this.#store.put(this.#store.states, agent, text);
  }

  async readStates(): Promise<readonly StateRecord[]> {
    this.#requireConnected();
    const names = [...this.#store.states.keys()].toSorted();
    const records = await Promise.all(names.map(async (agent) => await this.readState(agent)));
    return records.filter((record) => record !== null);
  }

  async readState(agent: string): Promise<StateRecord | null> {
    this.#requireConnected();
    const letter = this.#store.states.get(agent);
    return letter === undefined ? null : { agent, content: { text: letter.text }, publishedAtMs: letter.atMs };
  }

  #requireConnected(): void {
    if (!this.#connected) throw new CourierError("unavailable", "The memory transport is not connected");
  }

  #inbox(inbox: Inbox): Map<string, Letter> {
    this.#requireConnected();
    const box = this.#store.inboxes.get(inboxKey(inbox));
    if (box !== undefined) return box;
    throw new CourierError("not_found", `No agent has an inbox as ${inboxKey(inbox)}`);
  }

  /** Delivers asynchronously, as every real transport does: never inside the call that published. */
  #subscribe(box: Map<string, Letter>, found: (id: string, letter: Letter) => void): Closable {
    let closed = false;
    const later = (id: string, letter: Letter): void =>
      queueMicrotask(() => {
        if (!closed) found(id, letter);
      });
    const subscription = { box, notify: later };
    this.#store.subscriptions.add(subscription);
    for (const [id, letter] of inOrder(box)) later(id, letter);
    return this.#closable(async () => {
      closed = true;
      this.#store.subscriptions.delete(subscription);
    });
  }

  #closable(end: () => Promise<void>): Closable {
    const closable: Closable = {
      close: async () => {
        if (this.#open.delete(closable)) await end();
      },
    };
    this.#open.add(closable);
    return closable;
  }
}

function delivery(inbox: Inbox, id: string, { text, atMs }: Letter): Delivery {
  const hash = createHash("sha256").update(`${text}\0${atMs}`).digest("hex").slice(0, 16);
  return { inbox, id, key: `${id}~${hash}`, content: { text }, sentAtMs: atMs };
}

function inOrder(box: Map<string, Letter>): [string, Letter][] {
  return [...box].toSorted(([a, first], [b, second]) => first.atMs - second.atMs || (a < b ? -1 : 1));
}

function inboxKey(inbox: Inbox): string {
  return inbox === "shared" ? "shared" : `agent ${inbox.agent}`;
}

function replyKey(address: ReplyAddress): string {
  return address === "shared" ? "shared" : `to ${address.replyTo}`;
}
