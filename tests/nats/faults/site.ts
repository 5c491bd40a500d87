// Two gpu-agents with simulated Ollamas, a courier and a gpu-server on one nats-server, each side over a line that can be cut.
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { NatsTransport } from "#src/transport/nats/driver.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import { OllamaFront } from "#tests/long/chaos/ollama_front.ts";
import { type HttpServer, ProcessSite } from "#tests/process/site/site.ts";
import { Line } from "#tests/support/nats/line.ts";
import { askCourier, askServer } from "./askers.ts";
import type { Ask, Task } from "./tasks.ts";

export const AGENTS = ["gpu-1", "gpu-2"] as const;

export interface FaultSiteOptions {
  readonly tasks: readonly Task[];
  readonly timeoutMs: number;
  /** The port of nats-server; several: one after the other for agents and senders. */
  readonly ports: readonly number[];
  readonly replicas?: number;
}

export class FaultSite {
  readonly fronts = new Map<string, OllamaFront>();
  /** Between gpu-1 and nats-server. */
  readonly agentLine: Line;
  /** Between nats-server and all senders. */
  readonly senderLine: Line;
  readonly #site = new ProcessSite();
  readonly #options: FaultSiteOptions;
  readonly #addresses: string;
  #transport: NatsTransport | undefined;
  #courier: Courier | undefined;
  #server: HttpServer | undefined;

  private constructor(options: FaultSiteOptions, agentLine: Line, senderLine: Line) {
    this.#options = options;
    this.#addresses = `nats://${options.ports.map((port) => `127.0.0.1:${port}`).join(",")}`;
    this.agentLine = agentLine;
    this.senderLine = senderLine;
  }

  static async open(options: FaultSiteOptions): Promise<FaultSite> {
    const [port = 0] = options.ports;
    const site = new FaultSite(options, await Line.to(port), await Line.to(port));
    try {
      await site.#open();
      return site;
    } catch (error) {
      await site.close();
      throw error;
    }
  }

  get asks(): readonly Ask[] {
    if (this.#courier === undefined || this.#server === undefined) throw new Error("The site is not open");
    return [askCourier(this.#courier), askServer(this.#server)];
  }

  async close(): Promise<void> {
    for (const line of [this.agentLine, this.senderLine]) line.restore();
    await this.#courier?.close();
    await this.#transport?.close();
    await Promise.all([...this.fronts.values()].map(async (front) => await front.refuse()));
    await this.#site.close();
    for (const line of [this.agentLine, this.senderLine]) line.close();
  }

  async #open(): Promise<void> {
    const { timeoutMs, ports, replicas } = this.#options;
    const isAlone = ports.length === 1;
    const senders = isAlone ? this.senderLine.url : this.#addresses;
    const options = { identity: undefined, clock: systemClock, log: silentLog, replicas };
    this.#transport = new NatsTransport(parseNatsAddress(senders), options);
    await this.#transport.connect();
    for (const agent of AGENTS) {
      const url = isAlone && agent === AGENTS[0] ? this.agentLine.url : this.#addresses;
      await this.#site.agent(agent, (await this.#front(agent)).url, ["--transport", url]);
    }
    this.#courier = new Courier(this.#transport, { sender: "tester", timeoutMs });
    const args = ["--transport", senders, "--timeout", String(timeoutMs / 1000)];
    this.#server = await this.#site.server(args);
  }

  async #front(agent: string): Promise<OllamaFront> {
    const own = this.#options.tasks.filter((task) => task.agent === agent);
    const specs = (verb: Task["verb"]) => own.filter((task) => task.verb === verb).map(({ model }) => specOf(model));
    const ollama = await this.#site.ollama({
      catalog: specs("pull_model"),
      installed: [specOf("kept:latest"), ...specs("delete_model")],
      bytesPerSecond: Infinity,
    });
    const front = new OllamaFront(ollama);
    this.fronts.set(agent, front);
    return front;
  }
}

function specOf(name: string) {
  return { name, layers: [1000] };
}
