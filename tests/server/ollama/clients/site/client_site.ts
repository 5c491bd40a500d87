// What a client is pointed at: a server with one box that has an Ollama, and one that is away.
import type { SimulationOptions } from "#sim/ollama/ollama.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";

/** Has the Ollama. */
export const BOX = "gpu-1";
/** Stopped before the first test. */
export const AWAY_BOX = "gpu-2";
/** Nobody knows it. */
export const UNKNOWN_BOX = "gpu-9";
/** Installed on the box. */
export const INSTALLED = "sample:latest";
/** Can be pulled, which takes about a second. */
export const PULLED = "small:latest";

const SIMULATION: SimulationOptions = {
  catalog: [{ name: PULLED, layers: [3_000_000, 400] }],
  installed: [{ name: INSTALLED, layers: [2_000_000, 300] }],
  bytesPerSecond: 4_000_000,
};

interface ClientSiteOptions {
  /** The box's Ollama; a simulated one with two models unless it is named. */
  readonly ollamaUrl?: string;
  readonly agentArgs?: readonly string[];
  readonly serverArgs?: readonly string[];
}

export class ClientSite {
  readonly processes: ProcessSite;
  readonly server: HttpServer;
  /** Of the box. */
  readonly ollamaUrl: string;

  private constructor(processes: ProcessSite, server: HttpServer, ollamaUrl: string) {
    this.processes = processes;
    this.server = server;
    this.ollamaUrl = ollamaUrl;
  }

  static async open({ ollamaUrl, agentArgs = [], serverArgs = [] }: ClientSiteOptions = {}): Promise<ClientSite> {
    const processes = new ProcessSite();
    try {
      const url = ollamaUrl ?? (await processes.ollama(SIMULATION)).url;
      const [, , server] = await Promise.all([
        processes.agent(BOX, url, agentArgs),
        stopAtOnce(processes, url),
        processes.server(serverArgs),
      ]);
      const site = new ClientSite(processes, server, url);
      await until(async () => await site.shows(BOX, "online"), `${BOX} is online`);
      await until(async () => !(await site.shows(AWAY_BOX, "online")), `${AWAY_BOX} is away`);
      return site;
    } catch (error) {
      await processes.close();
      throw error;
    }
  }

  /** The base URL that a client of this agent is given. */
  address(agent: string = BOX): string {
    return `${this.server.url}/agents/${agent}`;
  }

  /** Of the role that may change models, unless another one is named. */
  bearer(role: "gp" | "viewer" = "gp"): { readonly authorization: string } {
    return { authorization: `Bearer ${this.server.tokens[role]}` };
  }

  async close(): Promise<void> {
    await this.processes.close();
  }

  private async shows(agent: string, status: string): Promise<boolean> {
    const { answer } = await this.server.call("GET", `/v1/agents/${agent}`);
    return answer["status"] === status;
  }
}

/** Leaves a box that the server knows, and that does not answer. */
async function stopAtOnce(processes: ProcessSite, ollamaUrl: string): Promise<void> {
  const agent = await processes.agent(AWAY_BOX, ollamaUrl);
  await agent.stop();
}
