// The measured system: a share in a temp folder, a process that plays the fleet's agents, and gpu-server's binary.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../../children.ts";
import { startServer } from "../bench_server.ts";
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
    const { child: server, url, token } = await startServer(dir, ["--share", share, "--init"]);
    await server.line('"Reached the share"', LISTED_WITHIN_MS);
    const site = new FleetSite(agents, share, token, { server, writer }, url);
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
