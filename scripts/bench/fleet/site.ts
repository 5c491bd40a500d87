// The measured system: a share in a temp folder, a process that plays the fleet's agents, and gpu-server's binary.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { cachedBinary } from "../../binaries.ts";
import { Child } from "../../children.ts";
import { Client } from "./client.ts";

const LISTED_WITHIN_MS = 120_000;
const POLL_MS = 500;

export class FleetSite {
  readonly agents: number;
  readonly share: string;
  readonly url: string;
  readonly token: string;
  readonly client: Client;
  readonly server: Child;
  readonly writer: Child;

  private constructor(
    agents: number,
    share: string,
    token: string,
    children: { server: Child; writer: Child },
    url: string,
  ) {
    this.agents = agents;
    this.share = share;
    this.url = url;
    this.token = token;
    this.server = children.server;
    this.writer = children.writer;
    this.client = new Client(url, token);
  }

  /**
   * Resolves when the server lists all agents as online.
   * @param dir created, not removed
   * @param isBusy a tenth of them pulls, and publishes twice a second
   */
  static async open(dir: string, agents: number, isBusy = false): Promise<FleetSite> {
    const share = join(dir, "share");
    mkdirSync(share, { recursive: true });
    const fleet = [share, String(agents), ...(isBusy ? ["busy"] : [])];
    const writer = new Child([process.execPath, join(import.meta.dir, "writer.ts"), ...fleet], dir);
    await writer.line('"ready"', LISTED_WITHIN_MS);
    const gpuServer = await cachedBinary("gpu-server");
    const stateDir = ["--state-dir", join(dir, "server")];
    const add = await new Child([gpuServer, "token", "add", "bench", "--role", "gp", ...stateDir], dir).finished();
    if (add.status !== 0) throw new Error(`No token: ${add.output}`);
    const settings = ["--share", share, "--init", "--port", "0", "--log-format", "json"];
    const server = new Child([gpuServer, ...settings, ...stateDir], dir);
    const { url } = await server.line('"Listening"');
    await server.line('"Reached the share"', LISTED_WITHIN_MS);
    const site = new FleetSite(agents, share, add.output.trim(), { server, writer }, String(url));
    await site.#untilListed();
    return site;
  }

  /** An agent from the middle of the fleet. */
  get oneAgent(): string {
    return `box-${Math.floor(this.agents / 2) + 1}`;
  }

  /** @returns how many documents were renewed a second; NaN when the writer could not say */
  async close(): Promise<number> {
    await this.server.stop();
    await this.writer.stop();
    const { output } = await this.writer.finished();
    return Number(/"perSecond":([0-9.]+)/.exec(output)?.[1]);
  }

  async #untilListed(): Promise<void> {
    for (const deadlineMs = performance.now() + LISTED_WITHIN_MS; ; await Bun.sleep(POLL_MS)) {
      const online = await this.#countOnline();
      if (online === this.agents) return;
      if (performance.now() > deadlineMs) throw new Error(`The server lists ${online} of ${this.agents} agents`);
    }
  }

  async #countOnline(): Promise<number> {
    const { agents } = await this.client.json("/v1/agents?limit=10000");
    return Array.isArray(agents) ? agents.filter(({ status }) => status === "online").length : 0;
  }
}
