// A NATS client that checks nothing of what it sends and keeps every byte that it receives.
import { connect, type Socket } from "node:net";
import { nkeys } from "@nats-io/transport-node";
import { until } from "#tests/support/until.ts";

export interface RawMessage {
  readonly payload?: string | undefined;
  readonly reply?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export class RawClient {
  /** All that the server has sent, as it came. */
  received = "";
  readonly #socket: Socket;
  #pings = 0;
  #subscriptions = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => {
      this.received += bytes.toString("latin1");
      if (bytes.includes("PING\r\n")) socket.write("PONG\r\n");
    });
  }

  /** @param seed of its nkey; none where anybody may come in */
  static async connect(port: number, seed?: Uint8Array): Promise<RawClient> {
    const client = new RawClient(connect(port, "127.0.0.1"));
    await until(() => client.received.startsWith("INFO ") && client.received.includes("\r\n"));
    const { nonce = "" } = JSON.parse(client.received.slice("INFO ".length, client.received.indexOf("\r\n")));
    const login = seed === undefined ? {} : loginOf(seed, nonce);
    client.#write(`CONNECT ${JSON.stringify({ verbose: false, headers: true, no_responders: true, ...login })}\r\n`);
    await client.flush();
    return client;
  }

  subscribe(subject: string): void {
    this.#subscriptions += 1;
    this.#write(`SUB ${subject} ${this.#subscriptions}\r\n`);
  }

  publish(subject: string, { payload = "", reply, headers }: RawMessage = {}): void {
    const to = reply === undefined ? subject : `${subject} ${reply}`;
    const size = Buffer.byteLength(payload);
    if (headers === undefined) return this.#write(`PUB ${to} ${size}\r\n${payload}\r\n`);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `NATS/1.0\r\n${lines.join("")}\r\n`;
    this.#write(`HPUB ${to} ${head.length} ${head.length + size}\r\n${head}${payload}\r\n`);
  }

  /** Resolves when the server has seen all that was sent before. */
  async flush(): Promise<void> {
    this.#pings += 1;
    this.#write("PING\r\n");
    await until(() => this.received.split("PONG\r\n").length > this.#pings);
  }

  close(): void {
    this.#socket.destroy();
  }

  #write(text: string): void {
    this.#socket.write(text);
  }
}

function loginOf(seed: Uint8Array, nonce: string) {
  const key = nkeys.fromSeed(seed);
  const signature = key.sign(new TextEncoder().encode(nonce));
  return { nkey: key.getPublicKey(), sig: Buffer.from(signature).toString("base64url") };
}
