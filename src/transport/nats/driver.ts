// The NATS driver: the transport contract over JetStream. It has no shared inbox and no claims: version 1 lives on shares.
import type { Check } from "../../base/check.ts";
import { about } from "../../base/check.ts";
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { AgentName } from "../../protocol.ts";
import type {
  Closable,
  Content,
  Delivery,
  Forgotten,
  Inbox,
  Listener,
  Reply,
  ReplyAddress,
  Sent,
  StateReader,
  StateRecord,
  StateWatcher,
  Swept,
  Transport,
} from "../../transport.ts";
import { Closables } from "../closables.ts";
import { examineNats } from "./examine.ts";
import { Receiver } from "./messages/receiver.ts";
import { Replies } from "./messages/replies.ts";
import { MOST_STATES, StateWatch } from "./messages/state_watch.ts";
import { type NatsAddress, type NatsOptions, requirePrefix } from "./options.ts";
import { Session } from "./session.ts";

export interface NatsTransportOptions extends NatsOptions {
  /** The agent that this program is. Its permissions and its responses have this name. */
  readonly identity?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

const NOTHING_SWEPT: Swept = {
  removed: { commands: 0, responses: 0, claims: 0, addresses: 0, unfinished: 0 },
  more: false,
};

export class NatsTransport implements Transport {
  readonly hasSharedInbox = false;
  readonly mostStates = MOST_STATES;
  readonly lookEveryMs = 30_000;
  readonly #address: NatsAddress;
  readonly #options: NatsTransportOptions;
  readonly #open = new Closables();
  #session: Session | undefined;

  /** @throws CourierError `invalid` for a prefix that cannot be one */
  constructor(address: NatsAddress, options: NatsTransportOptions) {
    this.#address = address;
    this.#options = { ...options, prefix: requirePrefix(options.prefix) };
  }

  async connect(): Promise<void> {
    if (this.#session !== undefined) return;
    const session = this.#newSession();
    try {
      await session.open();
    } catch (error) {
      await session.close();
      if (!(error instanceof CourierError) || error.code === "unavailable") throw error;
      throw new CourierError("unavailable", error.message, { hint: error.hint, cause: error });
    }
    this.#session = session;
  }

  async close(): Promise<void> {
    await this.#open.close();
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  now(): number {
    const time = this.#session?.time;
    if (time === undefined) return this.#options.clock.now();
    if (time.isDue && this.#session?.connection.isUp === true)
      time.learn().catch((error: unknown) => this.#options.log.debug({ error }, "Cannot learn the server's time"));
    return time.now();
  }

  get description(): string {
    return `nats at ${this.#address.servers.join(",")} (${this.#options.prefix})`;
  }

  async *examine(): AsyncIterable<Check> {
    const session = this.#session ?? this.#newSession();
    try {
      if (session !== this.#session) await session.open();
      const { connection, streams, time } = session;
      yield* examineNats({ connection, streams, time, clock: this.#options.clock });
    } catch (error) {
      yield about("nats").failedBy(error);
    } finally {
      if (session !== this.#session) await session.close();
    }
  }

  async send(inbox: Inbox, id: string, text: string): Promise<void> {
    await this.#connected("send").commands.send(agentIn(inbox), id, text);
  }

  async withdraw(inbox: Inbox, id: string): Promise<boolean> {
    return await this.#connected("withdraw").commands.withdraw(agentIn(inbox), id);
  }

  async openReplies(
    address: ReplyAddress,
    _wanted: (id: string) => boolean,
    accept: (reply: Reply) => boolean,
  ): Promise<Closable> {
    const { commands, responseBucket, streams, connection, layout } = this.#connected("receive replies");
    if (address === "shared") return this.#open.add(async () => undefined);
    const sentTo = (id: string): string | undefined => commands.sentTo(id);
    const { clock, log } = this.#options;
    const replies = new Replies({
      replyTo: address.replyTo,
      accept,
      sentTo,
      bucket: responseBucket,
      streams,
      connection,
      layout,
      clock,
      log,
    });
    await replies.open();
    return this.#open.add(async () => await replies.close());
  }

  async releaseReply(address: ReplyAddress, id: string): Promise<void> {
    const { streams } = this.#connected("release a reply");
    if (address !== "shared") await streams.empty("responses", `${address.replyTo}.*.${id}`);
  }

  async openInbox(inbox: Inbox): Promise<void> {
    const { lists } = this.#connected("make an inbox");
    if (inbox !== "shared") await lists.make(inbox.agent);
  }

  async receive(inbox: Inbox, listener: Listener): Promise<Closable> {
    const { commands, lists, connection, layout, time } = this.#connected("receive");
    if (inbox === "shared") return this.#quiet(listener);
    const { clock, log } = this.#options;
    const now = (): number => time.now();
    const { agent } = inbox;
    const receiver = new Receiver({ agent, listener, commands, lists, connection, layout, clock, now, log });
    await receiver.open();
    return this.#open.add(async () => await receiver.close());
  }

  async commandsIn(inbox: Inbox, wanted: (id: string) => boolean, most: number): Promise<readonly Sent[]> {
    const { commands } = this.#connected("list commands");
    return inbox === "shared" ? [] : await commands.list(inbox.agent, wanted, most);
  }

  async isUnchanged(delivery: Delivery): Promise<boolean> {
    return await this.#connected("look again").commands.isUnchanged(agentIn(delivery.inbox), delivery);
  }

  async claim(): Promise<boolean> {
    this.#connected("claim");
    throw noSharedInbox();
  }

  async claimedBy(): Promise<readonly Delivery[]> {
    this.#connected("look for claimed commands");
    return [];
  }

  async release(delivery: Delivery): Promise<boolean> {
    return await this.#connected("release").commands.release(agentIn(delivery.inbox), delivery);
  }

  async respond(address: ReplyAddress, id: string, text: string): Promise<boolean> {
    const { responses } = this.#connected("respond");
    if (address === "shared") throw noSharedInbox();
    return await responses.publish(address.replyTo, id, text);
  }

  async respondedAtMs(address: ReplyAddress, id: string): Promise<number | null> {
    const { responses } = this.#connected("look for a response");
    return address === "shared" ? null : await responses.publishedAtMs(address.replyTo, id);
  }

  async publishState(agent: string, text: string): Promise<void> {
    await this.#connected("publish the state").states.publish(agent, text);
  }

  async renewState(agent: string, sequence: number, text: string): Promise<void> {
    await this.#connected("publish the state").states.renew(agent, sequence, text);
  }

  /** The server removes by itself what is over. */
  async sweep(): Promise<Swept> {
    await this.#connected("sweep").connection.flush();
    return NOTHING_SWEPT;
  }

  async forget(agent: string, publishedAtMs: number): Promise<Forgotten | null> {
    const { states, lists } = this.#connected("forget");
    if (!AgentName.safeParse(agent).success)
      throw new CourierError("invalid", `Cannot use ${JSON.stringify(agent)} as agent name`);
    const forgotten = await states.forget(agent, publishedAtMs);
    lists.forget(agent);
    return forgotten;
  }

  async readStates(): Promise<readonly StateRecord[]> {
    return await this.#connected("read states").states.readAll();
  }

  openStates(): StateReader {
    let reader: StateReader | undefined;
    return {
      read: async (changed) => {
        const { states } = this.#connected("read states");
        reader ??= states.reader();
        return await reader.read(changed);
      },
    };
  }

  async readState(agent: string): Promise<StateRecord | null> {
    return await this.#connected("read a state").states.read(agent);
  }

  async watchStates(watcher: StateWatcher): Promise<Closable> {
    const { streams, connection, layout } = this.#connected("watch states");
    const { clock, log } = this.#options;
    const watch = new StateWatch({ watcher, streams, connection, layout, clock, log });
    await watch.open();
    return this.#open.add(async () => await watch.close());
  }

  async readRoster(): Promise<Content | null> {
    return await this.#connected("read the roster").states.readRoster();
  }

  async publishRoster(text: string): Promise<void> {
    await this.#connected("publish the roster").states.publishRoster(text);
  }

  #newSession(): Session {
    const { identity, clock, log } = this.#options;
    return new Session({ address: this.#address, options: this.#options, identity, clock, log });
  }

  /** @throws CourierError `unavailable` before `connect()` and while the server is away */
  #connected(action: string): Session {
    if (this.#session === undefined)
      throw new CourierError("unavailable", `Cannot ${action}: ${this.description} is not connected`);
    // Throws while it is away.
    void this.#session.connection.nats;
    return this.#session;
  }

  /** Nothing ever arrives there. */
  #quiet(listener: Listener): Closable {
    let isClosed = false;
    queueMicrotask(() => {
      if (!isClosed) listener.complete?.();
    });
    return this.#open.add(async () => {
      isClosed = true;
    });
  }
}

function agentIn(inbox: Inbox): string {
  if (inbox === "shared") throw noSharedInbox();
  return inbox.agent;
}

function noSharedInbox(): CourierError {
  return new CourierError("unimplemented", "NATS has no shared inbox", {
    hint: "Programs of version 1 work over a shared folder only",
  });
}
