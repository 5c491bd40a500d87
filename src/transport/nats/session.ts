// The parts of one connected handle.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { Bucket } from "./calls/bucket.ts";
import { Connection } from "./calls/connection.ts";
import { ServerClock } from "./calls/server_clock.ts";
import { Streams } from "./calls/streams.ts";
import { Layout } from "./layout.ts";
import { Commands } from "./messages/commands.ts";
import { Responses } from "./messages/responses.ts";
import { States } from "./messages/states.ts";
import { WaitingLists } from "./messages/waiting.ts";
import type { NatsAddress, NatsOptions } from "./options.ts";

export interface SessionDeps {
  readonly address: NatsAddress;
  readonly options: NatsOptions;
  readonly identity: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export class Session {
  readonly connection: Connection;
  readonly layout: Layout;
  readonly streams: Streams;
  readonly responseBucket: Bucket;
  readonly time: ServerClock;
  readonly lists: WaitingLists;
  readonly commands: Commands;
  readonly responses: Responses;
  readonly states: States;
  readonly replicas: number;
  readonly #identity: string | undefined;
  readonly #log: Log;

  constructor({ address, options, identity, clock, log }: SessionDeps) {
    const connection = new Connection({ address, options, identity, log });
    const layout = new Layout(options.prefix);
    const presence = new Bucket(connection, layout, "presence");
    const states = new Bucket(connection, layout, "states");
    const commandBucket = new Bucket(connection, layout, "commands");
    this.connection = connection;
    this.layout = layout;
    this.replicas = options.replicas ?? 1;
    this.streams = new Streams(connection, layout);
    this.responseBucket = new Bucket(connection, layout, "responses");
    this.time = new ServerClock(clock, states, identity ?? crypto.randomUUID());
    const now = (): number => this.time.now();
    this.lists = new WaitingLists(commandBucket, now, clock);
    this.commands = new Commands({ bucket: commandBucket, lists: this.lists, connection, layout, now, clock, log });
    // Without a name of its own a program sends no responses in practice; tests do.
    const isClustered = (): boolean => connection.nats.info?.cluster !== undefined;
    this.responses = new Responses(this.responseBucket, identity ?? "nobody", isClustered);
    this.states = new States({ states, presence, streams: this.streams, connection, layout, clock, log });
    this.#identity = identity;
    this.#log = log;
  }

  /**
   * Connects, makes the buckets when they are missing, and learns the server's time.
   * @throws CourierError `unavailable` or `forbidden`
   */
  async open(): Promise<void> {
    await this.connection.open();
    try {
      await this.time.learn();
    } catch (error) {
      // Most likely there is no bucket yet. Otherwise the same failure shows again.
      this.#log.debug({ error }, "Making the buckets");
      await this.#make(error);
      await this.time.learn();
    }
    // Agents with plain permissions may not.
    if (this.#identity !== undefined) return;
    await this.#makePresence();
    this.connection.follow({ lost: () => undefined, back: () => void this.#makePresence() });
  }

  /** @param failure why they may be missing */
  async #make(failure: unknown): Promise<void> {
    try {
      await this.streams.make(this.replicas);
    } catch (error) {
      // An agent with plain permissions may not.
      throw asCourierError(error).code === "forbidden" ? failure : error;
    }
  }

  /** Without that bucket only programs that read once miss something: that an agent is there. */
  async #makePresence(): Promise<void> {
    try {
      await this.streams.make(this.replicas, ["presence"]);
    } catch (error) {
      this.#log.debug({ error }, "Cannot make the bucket for presence");
    }
  }

  async close(): Promise<void> {
    this.commands.close();
    await this.connection.close();
  }
}
