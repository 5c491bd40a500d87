// Listens to server-sent events over its own connection, as a client that reconnects does.
// Not with fetch(): Bun 1.4.5 allows 256 active requests in a process, and the listeners would use all of them.
import { connect, type Socket } from "node:net";

export interface ServerEvent {
  readonly event: string;
  readonly id: string | undefined;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into documents of any shape
  readonly data: any;
}

export class EventListener {
  readonly events: ServerEvent[] = [];
  comments = 0;
  status = 0;
  lastId: string | undefined;
  readonly #only: string | undefined;
  #socket: Socket | undefined;
  #ended: Promise<void> = Promise.resolve();

  /** @param only keeps and parses no other events: hundreds of listeners in one process have no time for all */
  constructor(only?: string) {
    this.#only = only;
  }

  /** Connects, with the last id if there is one; resolves when the headers have arrived. @param token null sends none */
  async connect(url: string, token: string | null): Promise<void> {
    const { hostname, port, pathname, search } = new URL(url);
    const socket = connect(Number(port), hostname);
    this.#socket = socket;
    const [headed, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    this.#ended = ended.promise;
    const take = this.#reader(headed.resolve);
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => take(text));
    socket.on("error", headed.reject);
    socket.on("close", () => {
      headed.reject(new Error("The connection was closed before the answer"));
      ended.resolve();
    });
    const lastId = this.lastId === undefined ? "" : `Last-Event-ID: ${this.lastId}\r\n`;
    const login = token === null ? "" : `Authorization: Bearer ${token}\r\n`;
    const head = `Host: ${hostname}\r\n${login}Connection: close\r\n${lastId}`;
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\n${head}\r\n`);
    await headed.promise;
  }

  /** Closes the connection without notice. */
  async cut(): Promise<void> {
    this.#socket?.destroy();
    await this.#ended;
  }

  /** Resolves when the server ended the stream. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  /** The ids of the jobs whose ends it received, in order. */
  get ends(): string[] {
    return this.events.filter(({ event }) => event === "ended").map(({ data }) => data.id);
  }

  /** Name, status and reason of each agent event, in order. */
  get agents(): (string | null)[][] {
    const events = this.events.filter(({ event }) => event === "agent");
    return events.map(({ data }) => [data.agent, data.status, data.reason]);
  }

  /** Takes the text of one connection as it arrives: headers, then events in chunks. */
  #reader(headed: () => void): (text: string) => void {
    let rest = "";
    let isBody = false;
    return (text) => {
      rest += text;
      if (!isBody) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        this.status = Number(rest.split(" ", 2)[1]);
        rest = rest.slice(end + 4);
        isBody = true;
        headed();
      }
      // Events contain no carriage return. Only the lengths of chunks do.
      const blocks = rest.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/g, "").split("\n\n");
      const unfinished = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
      if (blocks.length > 0) rest = unfinished;
    };
  }

  #take(block: string): void {
    const lines = block.split("\n").map((line) => /^(\w*): ?(.*)$/.exec(line) ?? []);
    const field = (name: string): string | undefined => lines.find(([, key]) => key === name)?.[2];
    if (field("") !== undefined) this.comments += 1;
    this.lastId = field("id") ?? this.lastId;
    const [event, data] = [field("event"), field("data")];
    if (this.#only !== undefined && event !== this.#only) return;
    if (event !== undefined && data !== undefined) this.events.push({ event, id: field("id"), data: JSON.parse(data) });
  }
}
