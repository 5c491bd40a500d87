// A line to a server, through this process: it can stop to carry without closing, as a network does that is cut.
import { connect, createServer, type Server, type Socket } from "node:net";

/** Bytes on their way, with the socket that they go to. */
interface Held {
  readonly to: Socket;
  readonly bytes: Buffer;
}

export class Line {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: Held[] = [];
  #isCut = false;
  #cutAt: { readonly text: string; readonly when: "before" | "after"; readonly cut: () => void } | null = null;

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.port = port;
    server.on("connection", (client) => {
      const beyond = connect(target, "127.0.0.1");
      this.#join(client, beyond, true);
      this.#join(beyond, client, false);
    });
  }

  /** @param target the port on this machine that it leads to */
  static async to(target: number): Promise<Line> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("A line without a port");
    return new Line(server, address.port, target);
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** From now on nothing passes, in either direction; connections stay, and new ones are accepted. */
  cut(): void {
    this.#isCut = true;
  }

  /** Cuts it once the client sends something that has this text: just before it arrives, or after, and no answer returns. */
  async cutAt(text: string, when: "before" | "after"): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#cutAt = { text, when, cut: resolve };
    });
  }

  /** The line carries again, first the bytes that were held back. */
  restore(): void {
    this.#isCut = false;
    for (const { to, bytes } of this.#held.splice(0)) to.write(bytes);
  }

  /** Ends every connection, and loses the bytes that are held back. */
  sever(): void {
    this.#held.length = 0;
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.sever();
  }

  #join(from: Socket, to: Socket, isClient: boolean): void {
    this.#sockets.add(from);
    from.on("data", (bytes) => this.#pass(to, Buffer.from(bytes), isClient));
    // The other side hears of it by its own end.
    from.on("error", () => from.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }

  #pass(to: Socket, bytes: Buffer, isClient: boolean): void {
    const at = isClient && this.#cutAt !== null && bytes.includes(this.#cutAt.text) ? this.#cutAt : null;
    if (at?.when === "before") this.cut();
    if (this.#isCut) this.#held.push({ to, bytes });
    else to.write(bytes);
    if (at === null) return;
    this.#cutAt = null;
    this.cut();
    at.cut();
  }
}
