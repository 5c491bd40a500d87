// Agents of one release whose documents hold models, loaded models, and jobs in every state that lasts.
import type { SimulatedOllama, SimulationOptions } from "#sim/ollama/ollama.ts";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { type Job, State } from "#src/protocol.ts";
import { openTransport } from "#src/transport/open.ts";
import type { Transport } from "#src/transport.ts";
import type { SigningKey } from "#src/trust/keys.ts";
import { type Finished, ProcessSite, until } from "#tests/process/site/site.ts";
import type { Programs } from "./release.ts";

/** The agent for the commands of a test. */
export const IDLE = "idle";
const NAMES = ["busy", IDLE, "stalled"] as const;
type Name = (typeof NAMES)[number];

const DETAILS = { family: "phi3", families: ["phi3"], parameter_size: "14.7B", quantization_level: "Q4_K_M" };
const OLLAMA: SimulationOptions = {
  installed: [
    { name: "phi4:latest", layers: [20_000, 100], details: DETAILS, capabilities: ["completion", "tools"] },
    { name: "cloud:latest", layers: [300], remote: { model: "big", host: "https://ollama.com:443" } },
  ],
  catalog: [
    { name: "tiny:latest", layers: [2000] },
    ...["unwanted", "large", "next"].map((name) => ({ name: `${name}:latest`, layers: [50_000_000] })),
  ],
  bytesPerSecond: 100_000,
};

export class Fleet {
  readonly site = new ProcessSite();
  readonly #ollamas = new Map<Name, SimulatedOllama>();
  readonly #transport: Transport;
  readonly #courier: Courier;

  /** @param signingKey of the commands that fill it */
  constructor(signingKey: SigningKey | null = null) {
    const options = { create: "never", watch: "auto", clock: systemClock, log: silentLog } as const;
    this.#transport = openTransport(this.site.share, options);
    const sender = { sender: "tester", requestedBy: "tester", signingKey };
    this.#courier = new Courier(this.#transport, { ...sender, timeoutMs: 20_000 });
  }

  async close(): Promise<void> {
    await this.#courier.close();
    await this.#transport.close();
    await this.site.close();
  }

  /** Starts the agents; resolves when their documents show all of it. */
  async start({ agent }: Programs, flags: readonly string[] = []): Promise<void> {
    await this.#transport.connect();
    const command = [process.execPath, agent];
    for (const name of NAMES) {
      const ollama = await this.site.ollama(OLLAMA);
      ollama.load("phi4");
      this.#ollamas.set(name, ollama);
      const all = ["--ollama-models", this.site.dir, ...flags];
      await this.site.startAgent(name, ollama.url, all, {}, command).logged('"Ready"');
    }
    const isComplete = (name: Name): boolean =>
      this.#state(name).running.length === 1 && this.#state(name).model_count === 2;
    await until(() => NAMES.every(isComplete), "each document shows its models");
    await this.#pull("busy", "tiny", "succeeded");
    await this.#pull("busy", "missing", "failed");
    await this.#courier.cancelJob(await this.#pull("busy", "unwanted", "running"));
    await this.#pull("busy", "large", "running");
    await this.#pull("busy", "next", "queued");
    // The first release calls a pull that waits for its next attempt running.
    this.#ollama("stalled").faults.pull = { afterBytes: 0, kind: "cut" };
    await this.#pull("stalled", "large", undefined, 1);
  }

  async gpuctl({ gpuctl }: Programs, ...args: readonly string[]): Promise<Finished> {
    return await this.gpuctlAt(["--share", this.site.share], { gpuctl }, ...args);
  }

  /** @param where how it reaches the fleet: the flags for a share, or for a gpu-server */
  async gpuctlAt(where: readonly string[], { gpuctl }: Pick<Programs, "gpuctl">, ...args: readonly string[]) {
    return await this.site.run(gpuctl, [...where, ...args]);
  }

  /** The documents on the share. */
  get states(): readonly State[] {
    return NAMES.map((name) => this.#state(name));
  }

  get jobs(): readonly Job[] {
    return this.states.flatMap(({ jobs }) => jobs);
  }

  /** From the Ollamas themselves. */
  get models(): string[] {
    return [...new Set(NAMES.flatMap((name) => this.#ollama(name).installed()))].toSorted();
  }

  /** Loads on the idle agent what a command unloaded. */
  load(): void {
    this.#ollama(IDLE).load("phi4");
  }

  #state(name: Name): State {
    return State.parse(this.site.state(name));
  }

  #ollama(name: Name): SimulatedOllama {
    const ollama = this.#ollamas.get(name);
    if (ollama === undefined) throw new Error(`${name} was not started`);
    return ollama;
  }

  /** Starts a pull; resolves when the document shows its job in this state, if one is given, after so many failures. */
  async #pull(name: Name, model: string, state?: Job["state"], retries = 0): Promise<Job> {
    const { id } = await this.#courier.pullModel(name, model);
    const isWanted = (job: Job): boolean =>
      job.id === id && (state === undefined || job.state === state) && (job.retries ?? 0) >= retries;
    return await until(() => this.#state(name).jobs.find(isWanted), `${model} on ${name} is ${state ?? "retried"}`);
  }
}
