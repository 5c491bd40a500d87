// gpu-servers that share one nats-server, as processes, and agents of which they show the jobs.
import { join } from "node:path";
import { isoTime, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { isEnded, newPull } from "#src/protocol.ts";
import { NatsTransport } from "#src/transport/nats/driver.ts";
import { parseNatsAddress } from "#src/transport/nats/options.ts";
import { EventListener } from "#tests/support/event_listener.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { type Finished, ProcessSite, type Running } from "../../process/site/site.ts";

const SERVER = "server.ts";

export interface SharingServer {
  readonly name: string;
  readonly url: string;
  readonly token: string;
  readonly process: Running;
}

export class SharingSite {
  readonly nats: NatsServer;
  readonly #site = new ProcessSite();
  readonly #agents: ScriptedAgent[] = [];
  /** Every server has the tokens of all. */
  #token = "";

  static async open(): Promise<SharingSite> {
    const site = new SharingSite(await NatsServer.start());
    site.#token = (await site.command("first", "token", "add", "platform", "--role", "gp")).stdout.trim();
    return site;
  }

  private constructor(nats: NatsServer) {
    this.nats = nats;
  }

  /** A server with a state directory of its own; the same name again continues there. */
  async server(name: string, args: readonly string[] = []): Promise<SharingServer> {
    const running = this.#site.start(SERVER, ["--port", "0", "--log-format", "json", ...this.#common(name), ...args]);
    const { url } = await running.logged('"Listening"');
    await running.logged("Reached the share");
    return { name, url: String(url), token: this.#token, process: running };
  }

  /** Runs one with these words. */
  async command(name: string, ...args: readonly string[]): Promise<Finished> {
    return await this.#site.run(SERVER, [...args, ...this.#common(name)]);
  }

  stateDirOf(name: string): string {
    return join(this.#site.dir, name);
  }

  async agent(name: string): Promise<ScriptedAgent> {
    const open = () =>
      new NatsTransport(parseNatsAddress(this.nats.url), { identity: name, clock: systemClock, log: silentLog });
    const agent = await ScriptedAgent.open({ open }, name);
    this.#agents.push(agent);
    return agent;
  }

  async close(): Promise<void> {
    await this.#site.close();
    await Promise.all(this.#agents.map(async (agent) => await agent.close()));
    await this.nats.stop();
  }

  #common(name: string): readonly string[] {
    return ["--store", "nats", "--transport", this.nats.url, "--state-dir", this.stateDirOf(name)];
  }
}

/** Begins a pull on the agent, and ends the one before. */
export async function endAndBegin(agent: ScriptedAgent, id: string | null): Promise<void> {
  const end = { state: "succeeded", ended_at: agent.now(), completed_bytes: 1, total_bytes: 1 } as const;
  agent.jobs = agent.jobs.map((job) => (isEnded(job) ? job : { ...job, ...end }));
  if (id !== null) {
    const begun = { state: "running", started_at: isoTime(Date.now()) } as const;
    agent.jobs = [...agent.jobs.slice(-15), { ...newPull(id, agent.name, "phi4:latest"), ...begun }];
  }
  await agent.publish();
}

/** Somebody who listens for the ends of jobs, at one server after the other. */
export class Follower {
  readonly events = new EventListener("ended");
  isOff = false;

  async listen({ url, token }: SharingServer): Promise<void> {
    await this.events.connect(`${url}/v1/events`, token);
    if (this.events.status !== 200) throw new Error(`The server answered ${this.events.status}`);
  }
}
