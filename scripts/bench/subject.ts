// The measured system: a share in a temp folder, the agent's binary and the simulated Ollama as processes, a courier in this one.
import { linkSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { openTransport } from "#src/transport/open.ts";
import type { Transport } from "#src/transport.ts";
import type { SigningKey } from "#src/trust/keys.ts";
import { cachedBinary, ROOT } from "../binaries.ts";
import { Child } from "../children.ts";
import type { Send } from "./measure.ts";

export const AGENT = "gpu-1";
const SENDER = "bench";

/** An agent that signs nothing. It can only run from its sources. */
export const WITHOUT_KEY = [process.execPath, join(import.meta.dir, "agent_without_key.ts")];

export interface Signing {
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly signingKey?: SigningKey;
}

export class Subject {
  readonly agent: Child;
  readonly #ollama: Child;
  readonly #transport: Transport;
  readonly #courier: Courier;

  private constructor(agent: Child, ollama: Child, transport: Transport, courier: Courier) {
    this.agent = agent;
    this.#ollama = ollama;
    this.#transport = transport;
    this.#courier = courier;
  }

  /**
   * @param dir is made, and stays
   * @param lying the number of idle files in each watched folder
   * @param signing another program than the agent's binary, with further arguments, and a key that signs the commands
   */
  static async open(dir: string, lying: number, signing: Signing = {}): Promise<Subject> {
    const share = join(dir, "share");
    for (const folder of [`gpu_commands/${AGENT}`, "gpu_status"]) litter(join(share, folder), lying);
    const ollama = await startOllama(dir);
    const { command, args = [], signingKey = null } = signing;
    const agent = new Child([...(await agentCommand(dir, ollama.url, command)), ...args], dir);
    await agent.line("Ready");
    const transport = openTransport(share, { create: "never", watch: "auto", clock: systemClock, log: silentLog });
    await transport.connect();
    const courier = new Courier(transport, { sender: SENDER, timeoutMs: 10_000, signingKey });
    await courier.ping(AGENT);
    const replies = readdirSync(join(share, "gpu_status")).filter((name) => name.startsWith(`${SENDER}-`));
    for (const folder of replies) litter(join(share, "gpu_status", folder), lying);
    return new Subject(agent, ollama.child, transport, courier);
  }

  readonly ping: Send = async () => await this.#courier.request(AGENT, { verb: "ping" });

  /** By command: the agent asks Ollama. */
  readonly listModels: Send = async () => await this.#courier.request(AGENT, { verb: "list_models" });

  async close(): Promise<void> {
    await this.#courier.close();
    await this.#transport.close();
    for (const child of [this.agent, this.#ollama]) await child.stop();
  }
}

/** @param models how many are installed */
export async function startOllama(dir: string, models = 1): Promise<{ url: string; child: Child }> {
  const installed = Array.from(
    { length: models },
    (_, index) => `${index === 0 ? "bench" : `bench-${index}`}:latest=1000`,
  );
  const child = new Child(
    [process.execPath, join(ROOT, "sim/ollama/main.ts"), ...installed.flatMap((model) => ["--installed", model])],
    dir,
  );
  const { url } = await child.line('"url"');
  return { url: String(url), child };
}

/** The agent's binary, or another program in its place, on the share in `dir`, with its state beside it. */
export async function agentCommand(
  dir: string,
  ollamaUrl: string,
  program?: readonly string[],
): Promise<readonly string[]> {
  const folders = ["--share", join(dir, "share"), "--init", "--state-dir", join(dir, "state")];
  const started = program ?? [await cachedBinary("gpu-agent")];
  return [...started, ...folders, "--name", AGENT, "--ollama", ollamaUrl, "--log-format", "json"];
}

/** Files that nobody reads: names that start with a dot are no commands. */
function litter(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true });
  const first = join(folder, ".lying");
  writeFileSync(first, "{}");
  for (let made = 1; made < count; made++) linkSync(first, join(folder, `.lying-${made}`));
}
