// Plays one chaos run: load and faults for some time, healing, and the wait until nothing happens any more; then judges it.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isEnded, type Job } from "#src/protocol.ts";
import { until } from "#tests/process/site/site.ts";
import { SeededRandom } from "#tests/support/random.ts";
import type { Box } from "./box.ts";
import { removeEmpty } from "./folders.ts";
import type { GroundMaker } from "./grounds.ts";
import { type Command, describe } from "./history.ts";
import { Load } from "./load.ts";
import { type Inflicted, Nemesis } from "./nemesis.ts";
import type { Anomaly } from "./runs.ts";
import { ChaosSite } from "./site.ts";
import { judgeAnswers } from "./verdict/answered.ts";
import { type Facts, Inquiry } from "./verdict/facts.ts";
import { judgeEffects } from "./verdict/once.ts";
import { judgeOrder } from "./verdict/order.ts";

const PINGS = 5;
/** A wake-up takes some 20 ms; without one the listing once a second finds the command. */
const PING_MS = 400;

export interface Verdict {
  /** What the run was, in one line. */
  readonly line: string;
  readonly anomalies: readonly Anomaly[];
  /** Where the logs are kept, if there are anomalies. */
  readonly logs: string | null;
}

export async function play(makeGround: GroundMaker, seed: number): Promise<Verdict> {
  const site = new ChaosSite(makeGround);
  try {
    return await new Play(site, seed).run();
  } finally {
    await site.close();
  }
}

class Play {
  readonly #site: ChaosSite;
  readonly #seed: number;
  readonly #startedAtMs = Date.now();
  readonly #anomalies: Anomaly[] = [];

  constructor(site: ChaosSite, seed: number) {
    this.#site = site;
    this.#seed = seed;
  }

  async run(): Promise<Verdict> {
    const site = this.#site;
    const { pace } = site.ground;
    await site.open();
    const load = new Load(site.boxes, new SeededRandom(this.#seed), pace);
    const nemesis = new Nemesis(site.ground, site.boxes, new SeededRandom(this.#seed + 1));
    const loaded = load.run(site.senders, site.legacy);
    await nemesis.run(pace.faultsMs);
    for (const box of site.boxes) box.revive();
    const healedAtMs = Date.now();
    await loaded;
    await this.#becomeQuiet(load.commands);
    const left = site.commandFiles();
    if (!site.ground.isNetwork) await this.#removeInboxes();
    const jobs = await this.#examineAgents();
    await this.#end();
    const facts = this.#facts(load.commands, nemesis.inflicted, { jobs, left, healedAtMs });
    const inquiry = new Inquiry(facts);
    for (const judge of [judgeAnswers, judgeEffects, judgeOrder]) judge(inquiry);
    const anomalies = [...this.#anomalies, ...inquiry.anomalies];
    const line = this.#line(facts, anomalies.length);
    return { line, anomalies, logs: anomalies.length === 0 ? null : this.#keepLogs(facts, anomalies) };
  }

  /** Waits until every file is gone that must go, every job has ended and every agent is healthy. */
  async #becomeQuiet(commands: readonly Command[]): Promise<void> {
    const endMs = Date.now() + this.#site.ground.pace.quietWithinMs;
    for (let quietLooks = 0; quietLooks < 3 && Date.now() < endMs; ) {
      quietLooks = this.#isQuiet(commands) ? quietLooks + 1 : 0;
      await Bun.sleep(500);
    }
  }

  #isQuiet(commands: readonly Command[]): boolean {
    const { legacy, boxes } = this.#site;
    const lists = new Map(commands.filter(({ verb }) => verb === "list_models").map((each) => [each.id, each]));
    const waiting = this.#site.commandFiles().filter((path) => {
      const list = lists.get(path.slice("shared/".length));
      return !path.startsWith("shared/") || list === undefined || legacy.answersTo(list).length === 0;
    });
    const isHealthy = (box: Box): boolean => {
      const state = this.#site.state(box.name);
      return state?.status === "running" && state.ollama.reachable && state.jobs.every((job) => isEnded(job));
    };
    return waiting.length === 0 && boxes.every(isHealthy);
  }

  /** On an idle disk a new folder often gets the inode number of the removed one: the agents must watch it anyway. */
  async #removeInboxes(): Promise<void> {
    for (const { name } of this.#site.boxes) {
      const inbox = join(this.#site.ground.server, "gpu_commands", name);
      if (!removeEmpty(inbox)) continue;
      await until(() => existsSync(inbox), `${name} makes its inbox again`, 15_000).catch((error: unknown) => {
        this.#report("no inbox in the end", String(error));
      });
    }
    await Bun.sleep(1500);
  }

  /** The agents' documents, a few round trips, and the jobs that they keep. */
  async #examineAgents(): Promise<Map<string, readonly Job[]>> {
    const [near] = this.#site.senders;
    const jobs = new Map<string, readonly Job[]>();
    for (const { name } of this.#site.boxes) {
      const state = this.#site.state(name);
      if (state?.status !== "running")
        this.#report("not running", `${name}: ${state?.status}, ${state?.degraded_reason}`);
      const ms: number[] = [];
      try {
        for (let ping = 0; ping < PINGS; ping++) ms.push((await near?.ping(name)) ?? 0);
        jobs.set(name, (await near?.jobs(name)) ?? []);
      } catch (error) {
        this.#report("no answer in the end", `${name}: ${String(error)}`);
      }
      const isSlow = !this.#site.ground.isNetwork && Math.min(...ms) > PING_MS;
      if (isSlow) this.#report("not woken up", `${name}: pings took ${ms.map(Math.round).join(", ")} ms`);
    }
    return jobs;
  }

  /** Every process ends as it should, and nothing is where nobody may write. */
  async #end(): Promise<void> {
    const { senders, legacy, boxes } = this.#site;
    legacy.lookOnce();
    await legacy.close();
    for (const sender of senders) await sender.close();
    for (const box of boxes) {
      const status = await box.stop();
      if (status !== 0) this.#report("exit status", `${box.name} ended with ${status} when stopped`);
      for (const died of box.deaths) this.#report("died by itself", `${box.name} with exit status ${died}`);
    }
    const strays = [...this.#site.strays(), ...(await this.#site.unmount())];
    if (strays.length > 0) this.#report("written outside the share", strays.join(", "));
  }

  #facts(
    commands: readonly Command[],
    faults: readonly Inflicted[],
    { jobs, left, healedAtMs }: { jobs: Map<string, readonly Job[]>; left: readonly string[]; healedAtMs: number },
  ): Facts {
    const { boxes, legacy, ground } = this.#site;
    for (const command of commands.filter(({ version }) => version === 1)) {
      command.answers.push(...legacy.answersTo(command));
      command.hasResponse = legacy.responsesTo(command).length > 0;
    }
    return {
      commands,
      ran: boxes.flatMap((box) => box.ran()),
      boxes: boxes.map(({ name, killedAtMs, front, ollama }) => {
        const { forwarded } = front;
        return { name, killedAtMs, forwarded, installed: ollama.installed(), jobs: jobs.get(name) ?? [] };
      }),
      faults,
      left,
      startedAtMs: this.#startedAtMs,
      healedAtMs,
      mayDeny: ground.mayDeny,
      slackMs: ground.pace.slackMs,
    };
  }

  #report(kind: string, text: string): void {
    this.#anomalies.push({ kind, text });
  }

  #line({ commands, faults, boxes }: Facts, anomalies: number): string {
    const sent = commands.filter(({ id }) => id !== "").length;
    const kinds = Map.groupBy(faults, ({ kind }) => kind);
    const counted = [...kinds].map(([kind, found]) => `${kind} ${found.length}`).toSorted();
    const jobs = boxes.reduce((sum, box) => sum + box.jobs.length, 0);
    const restarts = this.#site.boxes.reduce((sum, box) => sum + box.restarts, 0);
    const seconds = Math.round((Date.now() - this.#startedAtMs) / 1000);
    const all = `${sent} commands, ${faults.length} faults (${counted.join(", ")}), ${jobs} jobs, ${restarts} restarts`;
    return `seed ${this.#seed} ${this.#site.ground.name}: ${all}, ${seconds} s, anomalies ${anomalies}`;
  }

  /** @returns the folder */
  #keepLogs({ faults, commands }: Facts, anomalies: readonly Anomaly[]): string {
    const folder = join(tmpdir(), `gpu-courier-chaos-${this.#site.ground.name}-${this.#seed}`);
    mkdirSync(folder, { recursive: true });
    const at = (ms: number): string => ((ms - this.#startedAtMs) / 1000).toFixed(2);
    const faultLines = faults.map(({ kind, target, fromMs, toMs, isReplaced }) => {
      return `${at(fromMs)} to ${at(toMs)} ${kind} ${target}${isReplaced ? ", made again meanwhile" : ""}`;
    });
    const sections: Readonly<Record<string, readonly string[]>> = {
      "anomalies.txt": anomalies.map(({ kind, text }) => `${kind}: ${text}`),
      "faults.txt": [`started at ${new Date(this.#startedAtMs).toISOString()}`, ...faultLines],
      "commands.txt": commands.map((command) => describe(command, this.#startedAtMs)),
      ...Object.fromEntries(this.#site.boxes.map((box) => [`${box.name}.log`, [box.log]])),
      ...Object.fromEntries(
        this.#site.boxes.map(({ name, front }) => [
          `${name}-ollama.txt`,
          front.forwarded.map(
            (each) => `${at(each.atMs)} ${each.route} ${each.model} ${each.destination} ${each.status}`,
          ),
        ]),
      ),
    };
    for (const [name, lines] of Object.entries(sections)) writeFileSync(join(folder, name), `${lines.join("\n")}\n`);
    return folder;
  }
}
