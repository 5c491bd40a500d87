// The floor of an HTTP answer: a bare `Bun.serve` in a process of its own, which sends bytes that it was given before.
import { Child } from "../../children.ts";
import { type Answer, Client } from "./client.ts";

/** The side that measures; the server is this file run as a process. */
export class BareServer {
  readonly client: Client;
  readonly #url: string;
  readonly #child: Child;

  private constructor(url: string, token: string, child: Child) {
    this.client = new Client(url, token);
    this.#url = url;
    this.#child = child;
  }

  /** @param token is sent with each request, so that it is as long as one to gpu-server */
  static async open(dir: string, token: string): Promise<BareServer> {
    const child = new Child([process.execPath, import.meta.path], dir);
    const { url } = await child.line('"url"');
    return new BareServer(String(url), token, child);
  }

  /** From now on a GET of this path returns these bytes. */
  async hold(path: string, { bytes, type }: Answer): Promise<void> {
    const response = await fetch(`${this.#url}${path}`, {
      method: "PUT",
      body: bytes,
      headers: { "content-type": type },
    });
    if (!response.ok) throw new Error(`PUT ${path}: ${response.status}`);
  }

  async close(): Promise<void> {
    await this.#child.stop();
  }
}

async function serve(): Promise<void> {
  const held = new Map<string, { body: ArrayBuffer; headers: Record<string, string> }>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      if (request.method === "PUT") {
        const headers = { "content-type": request.headers.get("content-type") ?? "" };
        held.set(request.url, { body: await request.arrayBuffer(), headers });
        return new Response(null, { status: 204 });
      }
      const found = held.get(request.url);
      return found === undefined
        ? new Response(null, { status: 404 })
        : new Response(found.body, { headers: found.headers });
    },
  });
  process.stdout.write(`${JSON.stringify({ url: server.url.origin })}\n`);
  const parent = process.ppid;
  while (process.ppid === parent) await Bun.sleep(1000);
  await server.stop(true);
}

if (import.meta.main) await serve();
