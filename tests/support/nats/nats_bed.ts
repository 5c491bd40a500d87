// A nats-server, handles on it, and a client that does as it likes.
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { asCourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { NatsTransport } from "#src/transport/nats/driver.ts";
import { type BucketName, Layout } from "#src/transport/nats/layout.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import type { Delivery, Transport } from "#src/transport.ts";
import { Line } from "./line.ts";
import { NatsServer, type NatsServerOptions } from "./nats_server.ts";

export const AGENT = "gpu-1";
export const DURABLE = { durable: true } as const;

interface HandleOptions {
  /** The agent that it belongs to; none: a program of the platform's side. */
  readonly identity?: string;
  readonly clock?: Clock;
  readonly url?: string;
}

export class NatsBed {
  readonly server: NatsServer;
  readonly layout = new Layout();
  readonly #handles: NatsTransport[] = [];
  readonly #lines: Line[] = [];
  /** For all: many may ask for it at once. */
  #raw: Promise<NatsConnection> | undefined;

  private constructor(server: NatsServer) {
    this.server = server;
  }

  static async start(options?: NatsServerOptions): Promise<NatsBed> {
    return new NatsBed(await NatsServer.start(options));
  }

  async close(): Promise<void> {
    this.server.resume();
    for (const line of this.#lines) line.restore();
    await Promise.all(this.#handles.map(async (handle) => await handle.close()));
    await (await this.#raw)?.close();
    for (const line of this.#lines) line.close();
    await this.server.stop();
  }

  /** A handle that is connected. */
  async open({ identity, clock = systemClock, url = this.server.url }: HandleOptions = {}): Promise<Transport> {
    const handle = new NatsTransport(parseNatsAddress(url), { identity, clock, log: silentLog });
    this.#handles.push(handle);
    await handle.connect();
    return handle;
  }

  async line(): Promise<Line> {
    const line = await Line.to(this.server.port);
    this.#lines.push(line);
    return line;
  }

  /** A handle of an agent, with its inbox. */
  async agent(options: HandleOptions = {}, name = AGENT): Promise<Transport> {
    const handle = await this.open({ identity: name, ...options });
    await handle.openInbox({ agent: name });
    return handle;
  }

  /** Another client on the same server. */
  async raw(): Promise<NatsConnection> {
    this.#raw ??= connect({ servers: this.server.url, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
    return await this.#raw;
  }

  /** Writes an entry as any program with the rights can. @returns its sequence */
  async write(
    bucket: BucketName,
    key: string,
    text: string,
    withHeaders: Readonly<Record<string, string>> = {},
  ): Promise<number> {
    const all = headers();
    for (const [name, value] of Object.entries(withHeaders)) all.set(name, value);
    const raw = await this.raw();
    const answer = await raw.request(this.layout.subject(bucket, key), text, { headers: all, timeout: 5_000 });
    return Number(answer.json<{ seq?: number }>().seq);
  }

  /** Limits how much a bucket may hold. @param maxBytes -1: no limit */
  async limit(bucket: BucketName, maxBytes: number): Promise<void> {
    const raw = await this.raw();
    const stream = this.layout.stream(bucket);
    const { config } = (await raw.request(`$JS.API.STREAM.INFO.${stream}`)).json<{ config: object }>();
    const changed = JSON.stringify({ ...config, max_bytes: maxBytes });
    const { error } = (await raw.request(`$JS.API.STREAM.UPDATE.${stream}`, changed)).json<{ error?: object }>();
    if (error !== undefined) throw new Error(`Cannot limit ${stream}: ${JSON.stringify(error)}`);
  }

  /** The entry of a key, as the stream has it; null without one. */
  async stored(bucket: BucketName, key: string): Promise<Stored | null> {
    const raw = await this.raw();
    const subject = `$JS.API.STREAM.MSG.GET.${this.layout.stream(bucket)}`;
    const asked = JSON.stringify({ last_by_subj: this.layout.subject(bucket, key) });
    const { message } = (await raw.request(subject, asked, { timeout: 5_000 })).json<{ message?: StoredMessage }>();
    if (message === undefined) return null;
    return { text: decoded(message.data), headers: decoded(message.hdrs) };
  }
}

interface StoredMessage {
  readonly data?: string;
  readonly hdrs?: string;
}

export interface Stored {
  readonly text: string;
  readonly headers: string;
}

function decoded(base64 = ""): string {
  return Buffer.from(base64, "base64").toString();
}

export function textOf({ content }: Pick<Delivery, "content">): string {
  return "text" in content ? content.text : `refused: ${content.refused}`;
}

/** How a call ends: `done`, or the code of its failure. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "done",
    (error: unknown) => asCourierError(error).code,
  );
}
