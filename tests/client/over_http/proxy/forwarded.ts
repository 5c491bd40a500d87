// A server on loopback that answers for one box as the test says, and a port in front of it as gpuctl opens it.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseServer } from "#src/client/over_http/address.ts";
import { Forwarder } from "#src/client/over_http/proxy/forwarder.ts";
import { openPort } from "#src/client/over_http/proxy/port.ts";
import { readToken } from "#src/trust/token_file.ts";

type Answer = (request: Request, path: string) => Response | Promise<Response>;

interface Choices {
  readonly prefix?: string;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** An authority to trust. */
  readonly ca?: string;
  /** In place of the server's. */
  readonly base?: string;
}

export class Forwarded implements AsyncDisposable {
  readonly dir: string;
  readonly tokenFile: string;
  /** Method, path, query and headers of each request that the server got. */
  readonly requests: { readonly line: string; readonly headers: Headers }[] = [];
  readonly #server: Bun.Server<undefined>;
  readonly #port: { readonly url: string; close(): Promise<void> };
  readonly #ended = new AbortController();

  static async open(answer: Answer, choices: Choices = {}): Promise<Forwarded> {
    const dir = await mkdtemp(join(tmpdir(), "gpu-courier-forwarded-"));
    const forwarded = new Forwarded(dir, answer, choices);
    await forwarded.writeToken("gc_secret");
    return forwarded;
  }

  private constructor(dir: string, answer: Answer, { prefix = "", tls, ca, base }: Choices) {
    this.dir = dir;
    this.tokenFile = join(dir, "token");
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      ...(tls === undefined ? {} : { tls }),
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url);
        this.requests.push({ line: `${request.method} ${pathname}${search}`, headers: request.headers });
        return await answer(request, pathname);
      },
    });
    const forwarder = new Forwarder({
      way: {
        address: parseServer(base ?? this.#server.url.origin, false),
        token: () => readToken(this.tokenFile),
        ca: ca === undefined ? undefined : [ca],
      },
      agent: "gpu-1",
      prefix,
      signal: this.#ended.signal,
    });
    this.#port = openPort(0, async (request, port) => await forwarder.answer(request, port));
  }

  get url(): string {
    return this.#port.url;
  }

  get serverUrl(): string {
    return this.#server.url.origin;
  }

  async writeToken(token: string, mode = 0o600): Promise<void> {
    await writeFile(this.tokenFile, `${token}\n`);
    await chmod(this.tokenFile, mode);
  }

  /** As a program on this machine sends it. */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(`${this.url}${path}`, { redirect: "manual", decompress: false, ...init });
  }

  /** The port is given up, with what is under way. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#port.close();
  }

  /** Breaks the server's connections off. */
  async loseServer(): Promise<void> {
    await this.#server.stop(true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await this.#server.stop(true);
    await rm(this.dir, { recursive: true });
  }
}

export function linesResponse(stream: ReadableStream): Response {
  return new Response(stream, { headers: { "content-type": "application/x-ndjson" } });
}
