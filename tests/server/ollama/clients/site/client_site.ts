// What a client is pointed at: a server with one box that has an Ollama, and one that is away.
import { z } from "zod";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { startBoxOllama } from "./models.ts";

/** Has the Ollama. */
export const BOX = "gpu-1";
/** Stopped before the first test. */
export const AWAY_BOX = "gpu-2";
/** Nobody knows it. */
export const UNKNOWN_BOX = "gpu-9";

const Published = z.object({ ollama: z.object({ version: z.string().nullable() }) });

interface ClientSiteParts {
  readonly processes: ProcessSite;
  readonly server: HttpServer;
  readonly ollama: SimulatedOllama;
}

export class ClientSite {
  readonly server: HttpServer;
  /** Of the box. */
  readonly ollama: SimulatedOllama;
  readonly #processes: ProcessSite;

  private constructor({ processes, server, ollama }: ClientSiteParts) {
    this.#processes = processes;
    this.server = server;
    this.ollama = ollama;
  }

  /** @param ollamaUrl another Ollama for the box */
  static async open(ollamaUrl?: string, agentArgs: readonly string[] = []): Promise<ClientSite> {
    const processes = new ProcessSite();
    const ollama = await startBoxOllama();
    const url = ollamaUrl ?? ollama.url;
    try {
      const [, , server] = await Promise.all([
        processes.agent(BOX, url, agentArgs),
        leaveAway(processes, url),
        processes.server(),
      ]);
      const site = new ClientSite({ processes, server, ollama });
      await until(async () => (await site.#status(BOX)) === "online", `${BOX} is online`);
      await until(async () => (await site.#status(AWAY_BOX)) === "offline", `${AWAY_BOX} is away`);
      return site;
    } catch (error) {
      await processes.close();
      await ollama.stop();
      throw error;
    }
  }

  /** A second server, on the same share. It ends with the site. */
  async anotherServer(args: readonly string[]): Promise<HttpServer> {
    return await this.#processes.server(args);
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
    await this.#processes.close();
    await this.ollama.stop();
  }

  async #status(agent: string): Promise<unknown> {
    const { answer } = await this.server.call("GET", `/v1/agents/${agent}`);
    return answer["status"];
  }
}

/** Leaves a box that the server knows, with what it last published, and that does not answer. */
async function leaveAway(processes: ProcessSite, ollamaUrl: string): Promise<void> {
  const agent = await processes.agent(AWAY_BOX, ollamaUrl);
  await until(() => Published.parse(processes.state(AWAY_BOX)).ollama.version !== null, "it has asked its Ollama");
  await agent.stop();
}
