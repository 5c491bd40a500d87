// A transport whose operations are measured.

import type { Check } from "../../base/check.ts";
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type {
  Closable,
  Content,
  Delivery,
  Forgotten,
  Holder,
  Inbox,
  Listener,
  PublishOptions,
  Reply,
  ReplyAddress,
  Sent,
  StateReader,
  StateRecord,
  StateWatcher,
  SweepScope,
  Swept,
  Transport,
} from "../../transport.ts";
import type { Measures } from "./measures.ts";

type Parts = Pick<Measures, "operations"> & { readonly clock: Pick<Clock, "monotonic"> };

/** Does what the other one does. */
export class TimedTransport implements Transport {
  readonly #inner: Transport;
  readonly #parts: Parts;

  constructor(inner: Transport, parts: Parts) {
    this.#inner = inner;
    this.#parts = parts;
  }

  get mostStates(): number {
    return this.#inner.mostStates;
  }

  get hasSharedInbox(): boolean {
    return this.#inner.hasSharedInbox;
  }

  get lookEveryMs(): number {
    return this.#inner.lookEveryMs;
  }

  get description(): string {
    return this.#inner.description;
  }

  now(agent?: string): number {
    return this.#inner.now(agent);
  }

  async connect(): Promise<void> {
    await this.#time("connect", async () => await this.#inner.connect());
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  examine(): AsyncIterable<Check> {
    return this.#inner.examine();
  }

  async send(inbox: Inbox, id: string, text: string, options: PublishOptions): Promise<void> {
    await this.#time("send", async () => await this.#inner.send(inbox, id, text, options));
  }

  async withdraw(inbox: Inbox, id: string): Promise<boolean> {
    return await this.#time("withdraw", async () => await this.#inner.withdraw(inbox, id));
  }

  async openReplies(
    address: ReplyAddress,
    wanted: (id: string) => boolean,
    accept: (reply: Reply) => boolean,
  ): Promise<Closable> {
    return await this.#time("open_replies", async () => await this.#inner.openReplies(address, wanted, accept));
  }

  async releaseReply(address: ReplyAddress, id: string): Promise<void> {
    await this.#time("release_reply", async () => await this.#inner.releaseReply(address, id));
  }

  async openInbox(inbox: Inbox): Promise<void> {
    await this.#time("open_inbox", async () => await this.#inner.openInbox(inbox));
  }

  async receive(inbox: Inbox, listener: Listener): Promise<Closable> {
    return await this.#time("receive", async () => await this.#inner.receive(inbox, listener));
  }

  async commandsIn(inbox: Inbox, wanted: (id: string) => boolean, most: number): Promise<readonly Sent[]> {
    return await this.#time("list_commands", async () => await this.#inner.commandsIn(inbox, wanted, most));
  }

  async isUnchanged(delivery: Delivery): Promise<boolean> {
    return await this.#time("look_again", async () => await this.#inner.isUnchanged(delivery));
  }

  async claim(delivery: Delivery, holder: Holder): Promise<boolean> {
    return await this.#time("claim", async () => await this.#inner.claim(delivery, holder));
  }

  async claimedBy(holder: Holder): Promise<readonly Delivery[]> {
    return await this.#time("list_claims", async () => await this.#inner.claimedBy(holder));
  }

  async release(delivery: Delivery): Promise<boolean> {
    return await this.#time("release", async () => await this.#inner.release(delivery));
  }

  async respond(address: ReplyAddress, id: string, text: string, options: PublishOptions): Promise<boolean> {
    return await this.#time("respond", async () => await this.#inner.respond(address, id, text, options));
  }

  async respondedAtMs(address: ReplyAddress, id: string): Promise<number | null> {
    return await this.#time("find_response", async () => await this.#inner.respondedAtMs(address, id));
  }

  async publishState(agent: string, text: string): Promise<void> {
    await this.#time("publish_state", async () => await this.#inner.publishState(agent, text));
  }

  async renewState(agent: string, sequence: number, text: string): Promise<void> {
    await this.#time("renew_state", async () => await this.#inner.renewState(agent, sequence, text));
  }

  async sweep(scope: SweepScope): Promise<Swept> {
    return await this.#time("sweep", async () => await this.#inner.sweep(scope));
  }

  async forget(agent: string, publishedAtMs: number): Promise<Forgotten | null> {
    return await this.#time("forget", async () => await this.#inner.forget(agent, publishedAtMs));
  }

  async readStates(): Promise<readonly StateRecord[]> {
    return await this.#time("read_states", async () => await this.#inner.readStates());
  }

  openStates(): StateReader {
    const states = this.#inner.openStates();
    return { read: async (changed) => await this.#time("read_states", async () => await states.read(changed)) };
  }

  async readState(agent: string): Promise<StateRecord | null> {
    return await this.#time("read_state", async () => await this.#inner.readState(agent));
  }

  async readRoster(): Promise<Content | null> {
    return await this.#time("read_roster", async () => await this.#inner.readRoster());
  }

  async publishRoster(text: string): Promise<void> {
    await this.#time("publish_roster", async () => await this.#inner.publishRoster(text));
  }

  /** Each look at all states is an operation of its own. */
  async watchStates(watcher: StateWatcher): Promise<Closable> {
    return await this.#inner.watchStates({
      changed: (record) => watcher.changed(record),
      alive: (agent, sequence) => watcher.alive(agent, sequence),
      removed: (agent) => watcher.removed(agent),
      synced: (asOfMs) => {
        this.#observe("watch", "success", asOfMs);
        watcher.synced(asOfMs);
      },
      interrupted: (error) => watcher.interrupted(error),
      restored: () => watcher.restored(),
      away: (agent, error) => watcher.away(agent, error),
    });
  }

  async #time<Value>(operation: string, run: () => Promise<Value>): Promise<Value> {
    const beganMs = this.#parts.clock.monotonic();
    try {
      const value = await run();
      this.#observe(operation, "success", beganMs);
      return value;
    } catch (error) {
      this.#observe(operation, asCourierError(error).code, beganMs);
      throw error;
    }
  }

  #observe(operation: string, result: string, beganMs: number): void {
    const { operations, clock } = this.#parts;
    operations.observe({ operation, result }, Math.max(0, clock.monotonic() - beganMs) / 1000);
  }
}
