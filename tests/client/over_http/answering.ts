// A server on loopback that answers as the test says, and gpuctl that asks it.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import type { ClientIo } from "#src/client/io.ts";
import { main } from "#src/client.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { Capture, type Ran } from "#tests/support/sites/client_run.ts";

type Answer = (request: Request, url: URL) => Response | Promise<Response>;

export class AnsweringServer implements AsyncDisposable {
  readonly dir: string;
  readonly tokenFile: string;
  /** Method, path and query of each request. */
  readonly requests: string[] = [];
  readonly bodies: unknown[] = [];
  readonly authorizations: (string | null)[] = [];
  /** What gpuctl runs in its place. */
  runProgram: ClientIo["runProgram"] = async () => 0;
  readonly #server: Bun.Server<undefined>;

  static async open(answer: Answer, tls?: { readonly key: string; readonly cert: string }): Promise<AnsweringServer> {
    const dir = await mkdtemp(join(tmpdir(), "gpu-courier-answering-"));
    const server = new AnsweringServer(dir, answer, tls);
    await writeFile(server.tokenFile, "gc_secret\n");
    await chmod(server.tokenFile, 0o600);
    return server;
  }

  private constructor(dir: string, answer: Answer, tls: { readonly key: string; readonly cert: string } | undefined) {
    this.dir = dir;
    this.tokenFile = join(dir, "token");
    this.#server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      ...(tls === undefined ? {} : { tls }),
      fetch: async (request) => {
        const url = new URL(request.url);
        this.requests.push(`${request.method} ${url.pathname}${url.search}`);
        this.authorizations.push(request.headers.get("authorization"));
        const body = await request.clone().text();
        if (body !== "") this.bodies.push(JSON.parse(body));
        return await answer(request, url);
      },
    });
  }

  get url(): string {
    return this.#server.url.origin;
  }

  /**
   * @param where how it is reached, unless it is by its address and its token
   * @param stop Ctrl-C
   * @param printed gets what is printed first
   */
  async run(
    argv: readonly string[],
    where: readonly string[] = ["--server", this.url],
    stop: AbortSignal = new AbortController().signal,
    printed?: (text: string) => void,
  ): Promise<Ran> {
    const [stdout, stderr] = [new Capture(false, 200), new Capture(false, 200)];
    if (printed !== undefined) stdout.once("printed", printed);
    const io: ClientIo = {
      stdout,
      stderr,
      color: false,
      clock: systemClock,
      signal: stop,
      requestedBy: "gpuctl:test@here",
      keyFile: join(this.dir, "signing.key"),
      tokenFile: this.tokenFile,
      runProgram: async (command, environment) => await this.runProgram(command, environment),
      open: async () => new MemoryStore().open(),
    };
    return { status: await main([...where, ...argv], io), stdout: stdout.text, stderr: stderr.text };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
    await rm(this.dir, { recursive: true });
  }
}

/** One online agent, as release 0.1.0 of gpu-server describes it: without what came later. */
export const EARLIER_GPU_1 = {
  agent: "gpu-1",
  status: "online",
  reason: null,
  last_seen_at: "2026-01-02T03:04:05.000Z",
  agent_version: "0.1.0",
  ollama: { reachable: true, version: "0.12.0", error: null, checked_at: "2026-01-02T03:04:05.000Z" },
  model_count: 0,
  job_count: 0,
  disk: null,
  clock_offset_ms: 0,
} as const;

/** One online agent, as this release describes it. */
export const GPU_1 = { ...EARLIER_GPU_1, gpus: [], memory: null, platform: null, labels: null } as const;

export function problem(status: number, code: string, more: object = {}): Response {
  const body = { type: `urn:gpu-courier:${code}`, title: "A title", status, detail: "It did not work", code, ...more };
  return Response.json(body, { status, headers: { "content-type": "application/problem+json" } });
}
