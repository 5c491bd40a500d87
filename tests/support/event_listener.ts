// Listens to server-sent events over a real connection, as a client does that comes back. Imports Bun alone.

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
  #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();

  /** Connects, as after a cut when it has had an id; resolves when the headers are there. */
  async connect(url: string, token: string): Promise<void> {
    this.#stop = new AbortController();
    const headers = new Headers({ authorization: `Bearer ${token}` });
    if (this.lastId !== undefined) headers.set("last-event-id", this.lastId);
    const response = await fetch(url, { headers, signal: this.#stop.signal });
    this.status = response.status;
    this.#ended = this.#read(response).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) throw error;
    });
  }

  /** Cuts the connection without a word. */
  async cut(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  /** Resolves when the server ended the stream. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  /** The ids of the jobs whose end it was told, in order. */
  get ends(): string[] {
    return this.events.filter(({ event }) => event === "ended").map(({ data }) => data.id);
  }

  async #read(response: Response): Promise<void> {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    }
  }

  #take(block: string): void {
    const lines = block.split("\n").map((line) => /^(\w*): ?(.*)$/.exec(line) ?? []);
    const field = (name: string): string | undefined => lines.find(([, key]) => key === name)?.[2];
    if (field("") !== undefined) this.comments += 1;
    this.lastId = field("id") ?? this.lastId;
    const [event, data] = [field("event"), field("data")];
    if (event !== undefined && data !== undefined) this.events.push({ event, id: field("id"), data: JSON.parse(data) });
  }
}
