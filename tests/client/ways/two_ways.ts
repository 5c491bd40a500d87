// One fleet, and gpuctl that reaches it in two ways: over the share itself, and through a gpu-server on loopback.
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock } from "#src/base/clock.ts";
import type { ClientIo } from "#src/client/io.ts";
import { main } from "#src/client.ts";
import { createApi } from "#src/server/api.ts";
import { type Listener, listen } from "#src/server/http/listen.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { answerAsLegacyService, Capture, type Ran } from "#tests/support/sites/client_run.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

export const WAYS = ["share", "server"] as const;
export type Way = (typeof WAYS)[number];

type AgentOptions = Parameters<typeof ScriptedAgent.open>[2];

interface RunOptions {
  readonly terminal?: boolean;
  /** Of the terminal. */
  readonly columns?: number;
  /** What the person at the terminal answers to a question; without one, gpuctl cannot ask. */
  readonly answer?: string;
}

export class TwoWays implements AsyncDisposable {
  readonly store: MemoryStore;
  readonly server: ServerUnderTest;
  readonly dir: string;
  readonly #clock: Clock;
  #listener: Listener;
  readonly #agents: ScriptedAgent[] = [];

  static async open(
    clock: Clock = systemClock,
    options: Pick<NonNullable<Parameters<typeof openServer>[0]>, "insecureRegistries" | "desired" | "mirrorShare"> = {},
  ): Promise<TwoWays> {
    const store = new MemoryStore(clock);
    const server = await openServer({ ...options, store, clock });
    const dir = await mkdtemp(join(tmpdir(), "gpu-courier-ways-"));
    return new TwoWays(clock, store, server, dir);
  }

  private constructor(clock: Clock, store: MemoryStore, server: ServerUnderTest, dir: string) {
    this.#clock = clock;
    this.store = store;
    this.server = server;
    this.dir = dir;
    this.#listener = this.#listen(0);
  }

  get url(): string {
    return this.#listener.url;
  }

  /** Breaks all connections, as a restart does. */
  async stopServer(): Promise<void> {
    await this.#listener.close(0);
  }

  startServer(): void {
    this.#listener = this.#listen(Number(new URL(this.url).port));
  }

  async agent(name: string, options?: AgentOptions): Promise<ScriptedAgent> {
    const agent = await ScriptedAgent.open(this.store, name, options);
    this.#agents.push(agent);
    await this.server.services.fleet.refresh(name);
    return agent;
  }

  /** A legacy service that lists no model. */
  async legacyService(): Promise<void> {
    await answerAsLegacyService(this.store, { success: true, models: [] });
    await this.server.services.fleet.refresh("gpu");
  }

  /** Publishes what an agent has now, and lets gpu-server see it. */
  async publish(agent: ScriptedAgent, change: Parameters<ScriptedAgent["publish"]>[0] = {}): Promise<void> {
    await agent.publish(change);
    await this.server.services.fleet.refresh(agent.name);
  }

  async tokenFile(token: string = this.server.gp, mode = 0o600): Promise<string> {
    const path = join(this.dir, `token-${Bun.randomUUIDv7()}`);
    await writeFile(path, `${token}\n`);
    await chmod(path, mode);
    return path;
  }

  /** Starts gpuctl; `stop` is Ctrl-C. */
  async start(way: Way, argv: readonly string[], { terminal = false, columns = 200, answer }: RunOptions = {}) {
    const stdout = new Capture(terminal, columns);
    const stderr = new Capture(terminal, columns);
    const stop = new AbortController();
    const io: ClientIo = {
      stdout,
      stderr,
      color: false,
      clock: this.#clock,
      signal: stop.signal,
      requestedBy: "gpuctl:test@here",
      keyFile: join(this.dir, "signing.key"),
      tokenFile: await this.tokenFile(),
      runProgram: async () => 0,
      open: async () => this.store.open(),
      ...(answer === undefined ? {} : { ask: answering(stderr, answer) }),
    };
    const where = way === "share" ? [] : ["--server", this.url];
    return { stdout, stderr, stop: () => stop.abort(), status: main([...where, ...argv], io) };
  }

  async run(way: Way, argv: readonly string[], options?: RunOptions): Promise<Ran> {
    const { status, stdout, stderr } = await this.start(way, argv, options);
    return { status: await status, stdout: stdout.text, stderr: stderr.text };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents) await agent.close();
    await this.#listener.close(0);
    await this.server[Symbol.asyncDispose]();
    await rm(this.dir, { recursive: true });
  }

  #listen(port: number): Listener {
    return listen({ host: "127.0.0.1", port }, createApi(this.server.services).fetch, 2_000);
  }
}

function answering(stderr: Capture, answer: string): (question: string) => Promise<string> {
  return async (question) => {
    stderr.write(`${question}${answer}\n`);
    return await Promise.resolve(answer);
  };
}

/** What differs between two runs of the same: times, durations, and new ids. */
export function masked({ status, stdout, stderr }: Ran): Ran {
  const mask = (text: string): string =>
    text
      .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)/g, "<time>")
      .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<id>")
      .replaceAll(/\d+(?:\.\d+)? ms\b/g, "<ms> ms")
      .replaceAll(/"rtt_ms":[\d.]+/g, '"rtt_ms":<ms>')
      .replaceAll(/\b\d+ seconds? ago|just now/g, "<ago>")
      .replaceAll(/silent for \d+ s/g, "silent for <s>")
      .replaceAll(/published \d+ s ago/g, "published <ago>")
      .replaceAll(/ +/g, " ");
  return { status, stdout: mask(stdout), stderr: mask(stderr) };
}
