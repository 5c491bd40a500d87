// The measured system: nats-server with its store in memory, a process that plays the agents, and gpu-server's binary.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { cachedBinary } from "../../binaries.ts";
import { Child } from "../../children.ts";
import { Client } from "../fleet/client.ts";

export interface BusSize {
  readonly agents: number;
  /** That the agents share; each that answers commands has another one. */
  readonly connections: number;
  readonly answering: number;
  readonly isSigned: boolean;
}

const PUBLISHED_WITHIN_MS = 300_000;
const COMPLETE_WITHIN_MS = 120_000;
const SERVED_WITHIN_MS = 300_000;
const POLL_MS = 50;
const PAGE = 10_000;

export class BusSite {
  readonly size: BusSize;
  readonly fleet: Child;
  readonly #nats: NatsServer;
  readonly #dir: string;
  readonly #token: string;
  #server: { readonly child: Child; readonly client: Client } | undefined;

  private constructor(size: BusSize, dir: string, parts: { nats: NatsServer; fleet: Child; token: string }) {
    this.size = size;
    this.#nats = parts.nats;
    this.fleet = parts.fleet;
    this.#token = parts.token;
    this.#dir = dir;
  }

  /** Resolves when all agents have published. gpu-server has run once, to make the buckets. @param dir created, not removed */
  static async open(dir: string, size: BusSize): Promise<BusSite> {
    mkdirSync(dir, { recursive: true });
    const gpuServer = await cachedBinary("gpu-server");
    const add = ["token", "add", "bench", "--role", "gp", "--state-dir", join(dir, "server")];
    const { status, output } = await new Child([gpuServer, ...add], dir).finished();
    if (status !== 0) throw new Error(`No token: ${output}`);
    const nats = await NatsServer.start();
    const making = await startServer(dir, nats.url);
    await making.child.stop();
    const { agents, connections, answering, isSigned } = size;
    const counts = [agents, connections, answering].map(String);
    const command = [process.execPath, join(import.meta.dir, "agents.ts"), nats.url, ...counts];
    const fleet = new Child([...command, ...(isSigned ? ["signed"] : [])], dir);
    await fleet.line('"ready"', PUBLISHED_WITHIN_MS);
    return new BusSite(size, dir, { nats, fleet, token: output.trim() });
  }

  get server(): Child {
    return this.#started.child;
  }

  get natsUrl(): string {
    return this.#nats.url;
  }

  get natsPid(): number {
    return this.#nats.pid ?? Number.NaN;
  }

  get client(): Client {
    return this.#started.client;
  }

  /** Starts gpu-server. */
  async startServer(): Promise<void> {
    const { child, url } = await startServer(this.#dir, this.#nats.url);
    this.#server = { child, client: new Client(url, this.#token) };
  }

  async stopServer(): Promise<void> {
    await this.#server?.child.stop();
    this.#server = undefined;
  }

  /** Resolves when gpu-server has a current view of the whole fleet. */
  async listed(): Promise<void> {
    await this.#until(async () => (await this.#list("limit=1")).length === 1);
  }

  /** Resolves when gpu-server lists no agent as offline. */
  async online(): Promise<void> {
    await this.#until(async () => (await this.#list("limit=1&status=offline")).length === 0);
  }

  /** @throws Error when gpu-server does not list every agent */
  async requireAll(): Promise<void> {
    const names = new Set<unknown>();
    for (let page = `limit=${PAGE}`; page !== ""; ) {
      const { agents, next } = await this.client.json(`/v1/agents?${page}`);
      if (Array.isArray(agents)) for (const { agent } of agents) names.add(agent);
      page = typeof next === "string" ? `limit=${PAGE}&after=${next}` : "";
    }
    if (names.size !== this.size.agents)
      throw new Error(`The server lists ${names.size} of ${this.size.agents} agents`);
  }

  async #list(query: string): Promise<readonly unknown[]> {
    const { agents } = await this.client.json(`/v1/agents?${query}`);
    return Array.isArray(agents) ? agents : [];
  }

  /** Failures are part of a start. */
  async #until(isSo: () => Promise<boolean>): Promise<void> {
    let failure: unknown;
    for (const deadlineMs = performance.now() + COMPLETE_WITHIN_MS; ; await Bun.sleep(POLL_MS)) {
      try {
        if (await isSo()) return;
      } catch (error) {
        failure = error;
      }
      if (performance.now() > deadlineMs)
        throw new Error("The server does not see the whole fleet", { cause: failure });
    }
  }

  /** Kills nats-server and starts it again; resolves when gpu-server has noticed. */
  async restartNats(): Promise<void> {
    await this.#nats.kill();
    await this.#until(async () => (await this.#list("limit=1&status=online")).length === 0);
    await this.#nats.restart();
  }

  /** Resolves when every agent has seen its inbox again after that. @returns how long that took, in ms */
  async served(): Promise<number> {
    const { ms } = await this.fleet.line('"served"', SERVED_WITHIN_MS);
    return Number(ms);
  }

  /** An agent from the middle of the fleet. */
  get oneAgent(): string {
    return `box-${Math.floor(this.size.agents / 2) + 1}`;
  }

  /** A random one of those that answer commands. */
  get answeringAgent(): string {
    const { agents, answering } = this.size;
    return `box-${Math.floor(Math.random() * answering) * Math.floor(agents / answering)}`;
  }

  /** Sends a command to a random agent and waits for its answer, through gpu-server. */
  async ping(): Promise<void> {
    await this.client.post(`/v1/agents/${this.answeringAgent}/ping`);
  }

  /** @returns how many heartbeats were sent a second; NaN when the fleet could not say */
  async close(): Promise<number> {
    await this.stopServer();
    await this.fleet.stop();
    const { output } = await this.fleet.finished();
    await this.#nats.stop();
    return Number(/"perSecond":([0-9.]+)/.exec(output)?.[1]);
  }

  get #started(): { readonly child: Child; readonly client: Client } {
    if (this.#server === undefined) throw new Error("gpu-server is not started");
    return this.#server;
  }
}

async function startServer(dir: string, url: string): Promise<{ child: Child; url: string }> {
  const settings = ["--transport", url, "--port", "0", "--log-format", "json", "--state-dir", join(dir, "server")];
  const child = new Child([await cachedBinary("gpu-server"), ...settings], dir);
  const listening = await child.line('"Listening"');
  await child.line('"Reached the share"');
  return { child, url: String(listening["url"]) };
}
