// One connection to NATS, which reconnects by itself. While it is away every call fails at once.
import { readFileSync } from "node:fs";
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type Msg,
  type NatsConnection,
  nkeyAuthenticator,
  type Subscription,
  type TlsOptions,
} from "@nats-io/transport-node";
import { CourierError, systemCode } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Closable } from "../../../transport.ts";
import type { NatsAddress, NatsOptions } from "../options.ts";
import { connectFailure, natsFailure } from "./failures.ts";

/** How long a call may take, in ms. */
export const CALL_MS = 5_000;
const CONNECT_MS = 5_000;
/** Many clients come back at once after a restart of the server: each waits its own time. */
const RECONNECT = { waitMs: 250, jitterMs: 750 };
/** A connection that is cut without a word is noticed within three of these. */
const PING_INTERVAL_MS = 10_000;
const UNANSWERED_PINGS = 2;

export interface ConnectionDeps {
  readonly address: NatsAddress;
  readonly options: NatsOptions;
  /** Whose replies come to `_INBOX_<identity>.>`: permissions name it. Without it to `_INBOX.>`. */
  readonly identity: string | undefined;
  readonly log: Log;
}

/** What depends on the connection: called in the order in which they began to follow. */
export interface Follower {
  lost(error: CourierError): void;
  back(): void;
}

export class Connection {
  readonly #deps: ConnectionDeps;
  readonly #followers = new Set<Follower>();
  #nats: NatsConnection | undefined;
  #isUp = false;
  /** The calls under way, by what rejects them once the connection is lost. */
  readonly #underWay = new Set<(error: CourierError) => void>();

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
  }

  /** As `host:4222,host2:4222`. */
  get description(): string {
    return `nats at ${this.#deps.address.servers.join(",")}`;
  }

  get log(): Log {
    return this.#deps.log;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** @throws CourierError `unavailable` when it cannot be reached, or does not let this program in */
  async open(): Promise<void> {
    if (this.#nats !== undefined) return;
    try {
      const nats = await connect(this.#connectOptions());
      this.#nats = nats;
      this.#isUp = true;
      void this.#followStatus(nats);
    } catch (error) {
      throw connectFailure(error, this.description);
    }
  }

  async close(): Promise<void> {
    const nats = this.#nats;
    this.#nats = undefined;
    this.#markLost(this.#notConnected("use it"));
    this.#followers.clear();
    await nats?.close();
  }

  /** The connection itself. @throws CourierError `unavailable` */
  get nats(): NatsConnection {
    if (this.#nats === undefined || !this.#isUp) throw this.#notConnected("use it");
    return this.#nats;
  }

  /**
   * Runs a call, at once or not at all. @param action as in `Cannot …`
   * @throws CourierError: `unavailable` as soon as the connection is lost
   */
  async call<Value>(action: string, run: (nats: NatsConnection) => Promise<Value>): Promise<Value> {
    if (this.#nats === undefined || !this.#isUp) throw this.#notConnected(action);
    // A promise of its own for each call: one for all would keep the result of every call for as long as the connection holds.
    const lost = Promise.withResolvers<never>();
    this.#underWay.add(lost.reject);
    try {
      return await Promise.race([run(this.#nats), lost.promise]);
    } catch (error) {
      throw natsFailure(error, action, this.description);
    } finally {
      this.#underWay.delete(lost.reject);
    }
  }

  /** Everything that this connection has sent is at the server, and what the server has sent before is here. */
  async flush(): Promise<void> {
    await this.call("reach it", async (nats) => await nats.flush());
  }

  /**
   * Delivers the messages of a subject, also after a reconnection. When it resolves, the server has the subscription.
   * @throws CourierError `unavailable`: nothing is delivered then
   */
  async subscribe(subject: string, deliver: (message: Msg) => void): Promise<Subscription> {
    const subscription = this.nats.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) deliver(message);
      },
    });
    try {
      await this.flush();
    } catch (error) {
      subscription.unsubscribe();
      throw error;
    }
    return subscription;
  }

  follow(follower: Follower): Closable {
    this.#followers.add(follower);
    return {
      close: async () => {
        this.#followers.delete(follower);
      },
    };
  }

  async #followStatus(nats: NatsConnection): Promise<void> {
    for await (const status of nats.status()) {
      if (status.type === "disconnect") this.#markLost(this.#away());
      else if (status.type === "reconnect") this.#markBack();
      else if (status.type === "error") this.#deps.log.debug({ error: status.error }, "NATS reports an error");
    }
  }

  #markLost(error: CourierError): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    for (const reject of this.#underWay) reject(error);
    for (const follower of this.#followers) follower.lost(error);
  }

  #markBack(): void {
    if (this.#nats === undefined || this.#isUp) return;
    this.#isUp = true;
    for (const follower of this.#followers) follower.back();
  }

  #away(): CourierError {
    return new CourierError("unavailable", `Lost the connection to ${this.description}`, {
      hint: "It reconnects by itself; check that nats-server runs and the network between",
    });
  }

  #notConnected(action: string): CourierError {
    if (this.#nats !== undefined) return this.#away();
    return new CourierError("unavailable", `Cannot ${action}: ${this.description} is not connected`);
  }

  #connectOptions(): ConnectionOptions {
    const { address, options, identity } = this.#deps;
    return {
      servers: [...address.servers],
      name: `gpu-courier${identity === undefined ? "" : ` ${identity}`}`,
      inboxPrefix: identity === undefined ? "_INBOX" : `_INBOX_${identity}`,
      timeout: CONNECT_MS,
      reconnect: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT.waitMs,
      reconnectJitter: RECONNECT.jitterMs,
      reconnectJitterTLS: RECONNECT.jitterMs,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: UNANSWERED_PINGS,
      // Credentials may be renewed while this program runs.
      ignoreAuthErrorAbort: true,
      ...(options.credsFile === undefined ? {} : { authenticator: authenticator(options.credsFile) }),
      ...(address.tls || options.caFile !== undefined || options.certFile !== undefined
        ? { tls: tlsOptions(options) }
        : {}),
    };
  }
}

/** A user's JWT with its seed, or the seed alone. */
function authenticator(path: string): Authenticator {
  const read = (): string => readable(path, "credentials").toString().trim();
  if (!isSeed(read())) return credsAuthenticator(() => readable(path, "credentials"));
  // Read at each connection, so that a renewed one counts without a restart.
  return nkeyAuthenticator(() => new TextEncoder().encode(read()));
}

function isSeed(text: string): boolean {
  return /^SU[A-Z2-7]{56}$/.test(text);
}

function tlsOptions({ caFile, certFile, keyFile }: NatsOptions): TlsOptions {
  return {
    ...(caFile === undefined ? {} : { ca: readable(caFile, "certificates").toString() }),
    ...(certFile === undefined ? {} : { cert: readable(certFile, "certificate").toString() }),
    ...(keyFile === undefined ? {} : { key: readable(keyFile, "key").toString() }),
  };
}

function readable(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CourierError("unavailable", `Cannot read the ${what} for NATS in ${path}: ${systemCode(error)}`, {
      hint: "Check the path, and that this program's user may read the file",
      cause: error,
    });
  }
}
