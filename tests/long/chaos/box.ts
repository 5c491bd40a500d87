// One GPU machine of a chaos run: an agent that is killed, stopped and started again, and its Ollama.
import { z } from "zod";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import type { ProcessSite, Running } from "#tests/process/site/site.ts";
import { run } from "#tests/support/debian.ts";
import { fillDisk, mountMemory } from "./folders.ts";
import { OllamaFront } from "./ollama_front.ts";
import type { Ran } from "./runs.ts";

const LogLine = z.object({
  time: z.string(),
  msg: z.string(),
  id: z.string(),
  code: z.string().optional(),
  ms: z.number().optional(),
});
const STATE_BYTES = 4 * 1024 * 1024;
const RAN = ["Command done", "Command failed"];
const REFUSED = "Refused a command";

interface Life {
  readonly process: Running;
  /** Null while it runs. */
  endedAtMs: number | null;
  /** Whether the test ended it. */
  isWanted: boolean;
}

export class Box {
  readonly name: string;
  readonly ollama: SimulatedOllama;
  readonly front: OllamaFront;
  /** When it was killed. */
  readonly killedAtMs: number[] = [];
  /** The exit statuses of processes that the test did not end. */
  readonly deaths: number[] = [];
  readonly #site: ProcessSite;
  readonly #agent: readonly string[] | undefined;
  readonly #lives: Life[] = [];

  /** @param agent the command that is gpu-agent; undefined: its source */
  constructor(site: ProcessSite, name: string, ollama: SimulatedOllama, agent?: readonly string[]) {
    this.#site = site;
    this.#agent = agent;
    this.name = name;
    this.ollama = ollama;
    this.front = new OllamaFront(ollama);
  }

  get restarts(): number {
    return Math.max(0, this.#lives.length - 1);
  }

  get log(): string {
    return this.#lives.map(({ process }) => process.log).join("---- started again\n");
  }

  /** Gives its state directory a small disk of its own, which can be filled. */
  async mountState(): Promise<void> {
    await mountMemory(this.#site.stateDirOf(this.name), STATE_BYTES);
  }

  async unmountState(): Promise<void> {
    await run(["umount", "-l", this.#site.stateDirOf(this.name)]);
  }

  start(): void {
    const process = this.#site.startAgent(this.name, this.front.url, ["--max-pulls", "4"], {}, this.#agent);
    const life: Life = { process, endedAtMs: null, isWanted: false };
    this.#lives.push(life);
    void this.#watch(life);
  }

  async #watch(life: Life): Promise<void> {
    const status = await life.process.exited();
    life.endedAtMs = Date.now();
    if (!life.isWanted) this.deaths.push(status);
  }

  /** Fills the disk of its state directory. @returns what empties it again */
  fillState(): () => void {
    return fillDisk(this.#site.stateDirOf(this.name));
  }

  async ready(): Promise<void> {
    await this.#life.process.logged("Ready");
  }

  async kill(): Promise<void> {
    const life = this.#life;
    this.killedAtMs.push(Date.now());
    life.isWanted = true;
    await life.process.stop("SIGKILL");
  }

  /** Starts it again if it ended by itself, as its service manager would. */
  revive(): void {
    if (this.#life.endedAtMs !== null) this.start();
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    if (this.#life.endedAtMs === null) process.kill(this.#life.process.pid, signal);
  }

  /** Ends it as its service manager would. @returns its exit status */
  async stop(): Promise<number> {
    this.#life.isWanted = true;
    return await this.#life.process.stop();
  }

  /** What it ran and refused, by its log. */
  ran(): Ran[] {
    const lines = this.#lives.flatMap(({ process }) => process.log.split("\n"));
    return lines.flatMap((line) => this.#readLine(line));
  }

  #readLine(line: string): Ran[] {
    if (![...RAN, REFUSED].some((text) => line.includes(text))) return [];
    const { time, msg, id, code = "success", ms } = LogLine.parse(JSON.parse(line));
    const endMs = Date.parse(time);
    return [
      { agent: this.name, id, beginMs: ms === undefined ? null : endMs - ms, endMs, code, didRun: RAN.includes(msg) },
    ];
  }

  get #life(): Life {
    const life = this.#lives.at(-1);
    if (life === undefined) throw new Error(`${this.name} was never started`);
    return life;
  }
}
