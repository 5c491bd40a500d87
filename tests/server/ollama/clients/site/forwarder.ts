// Passes requests on to a base URL: counts and keeps them, and adds the headers that a client cannot send.

export interface Exchange {
  readonly request: {
    readonly method: string;
    /** Below the base URL. */
    readonly path: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
  readonly response: { readonly status: number; readonly type: string; body: string };
}

/** Of the connection, not of the message. */
const OF_CONNECTION = ["connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"];

export class Forwarder {
  readonly exchanges: Exchange[] = [];
  readonly #server: Bun.Server<undefined>;

  /** @param headers replace those of the client */
  constructor(baseUrl: string, headers: Readonly<Record<string, string>> = {}) {
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      // A pull may be silent for longer than the 10 s that Bun allows.
      idleTimeout: 0,
      fetch: async (request) => await this.#forward(request, baseUrl, headers),
    });
  }

  get url(): string {
    return this.#server.url.origin;
  }

  /** `GET /api/tags` and so on, in their order; those since the last call. */
  takeRequests(): string[] {
    return this.exchanges.splice(0).map(({ request }) => `${request.method} ${request.path}`);
  }

  async close(): Promise<void> {
    await this.#server.stop(true);
  }

  async #forward(request: Request, baseUrl: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const sent = new Headers(request.headers);
    for (const name of OF_CONNECTION) sent.delete(name);
    for (const [name, value] of Object.entries(headers)) sent.set(name, value);
    const body = await request.text();
    const response = await fetch(`${baseUrl}${pathname}${search}`, {
      method: request.method,
      headers: sent,
      redirect: "manual",
      signal: request.signal,
      ...(body === "" ? {} : { body }),
    });
    const exchange: Exchange = {
      request: { method: request.method, path: pathname + search, headers: Object.fromEntries(request.headers), body },
      response: { status: response.status, type: response.headers.get("content-type") ?? "", body: "" },
    };
    this.exchanges.push(exchange);
    return passOn(response, exchange);
  }
}

/** The response as it comes, noted on the way. */
function passOn(response: Response, exchange: Exchange): Response {
  const headers = new Headers(response.headers);
  for (const name of OF_CONNECTION) headers.delete(name);
  const decoder = new TextDecoder();
  const noted = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      exchange.response.body += decoder.decode(chunk, { stream: true });
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body?.pipeThrough(noted) ?? null, { status: response.status, headers });
}
