// A fleet on a network share: simulated agents on one client, gpu-server on another, and programs that question it.
import { join } from "node:path";
import { z } from "zod";
import { type Calls, callsOf, difference, sum } from "#tests/nfs/guest/calls.ts";
import type { Client } from "#tests/nfs/guest/machines.ts";
import type { Version } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";
import { type HttpServer, until } from "#tests/process/site/site.ts";
import { Child } from "../../../scripts/children.ts";

/** Where the agents publish their states. */
const WRITING: Client = "c1";
/** Where gpu-server runs. */
export const SERVING: Client = "c2";
const SCRIPTS = join(import.meta.dir, "../../../scripts/bench/fleet");
/**
 * The server of the share answers before its disk has written: 40 documents a second wait for no disk. The emulated clock goes
 * on while the disk of this machine works, so such waits would be of any length.
 */
const EXPORT = "no_root_squash,async";
const LISTED_WITHIN_MS = 60_000;
/** The calls of a look follow each other faster. */
const QUIET_MS = 200;
const PROGRAM_WITHIN_MS = 300_000;

const Figure = z.looseObject({ value: z.number(), floor: z.number(), ratio: z.number() });
const Compared = z.object({
  lists: z.array(z.object({ path: z.string(), bytes: z.number(), pairs: z.number(), p50: Figure, p99: Figure })),
});
const Changed = z.object({ listed: z.array(z.number()), published: z.array(z.number()) });

/** Ends at the end of the block that it is opened in. */
export class FleetSite implements AsyncDisposable {
  readonly #network: NetworkSite;
  readonly #server: HttpServer;
  readonly #writer: Child;
  readonly #agents: number;

  private constructor(network: NetworkSite, server: HttpServer, writer: Child, agents: number) {
    this.#network = network;
    this.#server = server;
    this.#writer = writer;
    this.#agents = agents;
  }

  /** Resolves when the server lists all agents as online. */
  static async open(version: Version, agents: number): Promise<FleetSite> {
    const network = await NetworkSite.open("fleet", version, [WRITING, SERVING], EXPORT);
    const writer = startProgram(WRITING, join(SCRIPTS, "writer.ts"), network.share, String(agents));
    try {
      await writer.line('"ready"', LISTED_WITHIN_MS);
      const server = await network.server(SERVING);
      const site = new FleetSite(network, server, writer, agents);
      await until(async () => (await site.countOnline()) === agents, "all agents are listed", LISTED_WITHIN_MS);
      return site;
    } catch (error) {
      await writer.stop();
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** How many agents the server lists as online. */
  async countOnline(): Promise<number> {
    const { agents } = await this.ask("/v1/agents");
    return Array.isArray(agents) ? agents.filter(({ status }) => status === "online").length : 0;
  }

  async ask(path: string): Promise<Record<string, unknown>> {
    const { status, answer } = await this.#server.call("GET", path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(answer)}`);
    return answer;
  }

  /**
   * What the server's client asks of the share a second, by operation, while `meanwhile` runs to its end. Begins after a look
   * of the server, so that no older states are read in that time.
   */
  async callsPerSecond(meanwhile: () => Promise<void>): Promise<Calls> {
    await this.#lookEnded();
    const [before, startedMs] = [await callsOf(this.#network, SERVING), performance.now()];
    await meanwhile();
    const calls = difference(await callsOf(this.#network, SERVING), before);
    const seconds = (performance.now() - startedMs) / 1000;
    return new Map([...calls].map(([name, count]) => [name, count / seconds]));
  }

  async #lookEnded(): Promise<void> {
    const listed = listings(await callsOf(this.#network, SERVING));
    const hasListed = async () => listings(await callsOf(this.#network, SERVING)) > listed;
    await until(hasListed, "the server looks at its share", LISTED_WITHIN_MS);
    const isQuiet = async () => {
      const before = await callsOf(this.#network, SERVING);
      await Bun.sleep(QUIET_MS);
      return sum(difference(await callsOf(this.#network, SERVING), before)) === 0;
    };
    await until(isQuiet, "the server has looked at its share", LISTED_WITHIN_MS);
  }

  /** The times of each list in comparison with a bare server, both asked on the server's machine. */
  async compare(rounds: number, paths: readonly string[]) {
    const printed = await this.#runProgram(SERVING, "compare.ts", '"lists"', String(rounds), ...paths);
    return Compared.parse(printed).lists;
  }

  /** One more agent adds so many models. @returns how long the list took to have each, and the agent to publish it */
  async change(count: number) {
    const args = [this.#network.share, String(this.#agents), String(count)];
    return Changed.parse(await this.#runProgram(WRITING, "change.ts", '"listed"', ...args));
  }

  /** The age of the oldest state of an agent, as the share's own disk has it. */
  oldestStateMs(): number {
    const ages = Array.from({ length: this.#agents }, (_, index) => {
      return Date.now() - Date.parse(String(this.#network.state(`box-${index}`)["timestamp"]));
    });
    return Math.max(...ages);
  }

  /** Ends the agents. @returns how many states they published a second */
  async stopAgents(): Promise<number> {
    await this.#writer.stop();
    await this.#writer.finished();
    return Number((await this.#writer.line('"perSecond"'))["perSecond"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.stop();
    await this.#network[Symbol.asyncDispose]();
  }

  /** @returns the line that it prints with this text */
  async #runProgram(client: Client, name: string, text: string, ...args: readonly string[]) {
    const { url, tokens } = this.#server;
    const program = startProgram(client, join(import.meta.dir, name), url, tokens.gp, ...args);
    try {
      return await program.line(text, PROGRAM_WITHIN_MS);
    } finally {
      await program.stop();
    }
  }
}

function listings(calls: Calls): number {
  return (calls.get("READDIR") ?? 0) + (calls.get("READDIRPLUS") ?? 0);
}

function startProgram(client: Client, ...script: readonly string[]): Child {
  return new Child([client, "bun", ...script], "/");
}
