// An agent for tests of the platform side: answers commands and publishes its state on any transport. No Ollama, no disk.
import { isoTime } from "../../src/clock.ts";
import { sameModel } from "../../src/model_name.ts";
import { CommandV2, type Job, type Model, type Response, State } from "../../src/protocol.ts";
import type { Delivery, Transport } from "../../src/transport.ts";

type Said = Partial<Response> | undefined;
/** What the agent says to a command, and when; undefined: nothing at all. */
export type Answer = (command: CommandV2, agent: ScriptedAgent) => Said | Promise<Said>;

export class ScriptedAgent {
  readonly name: string;
  readonly #transport: Transport;
  readonly #answer: Answer;
  readonly commands: CommandV2[] = [];
  models: Model[];
  jobs: Job[] = [];
  #sequence = 0;

  /** @param store where it opens its handle: a memory store, or whatever opens a transport */
  static async open(
    store: { open(): Transport },
    name: string,
    { models = [], answer = answerAsAgent }: { models?: readonly Model[]; answer?: Answer } = {},
  ): Promise<ScriptedAgent> {
    const transport = store.open();
    await transport.connect();
    await transport.openInbox({ agent: name });
    const agent = new ScriptedAgent(name, transport, [...models], answer);
    await transport.receive({ agent: name }, { deliver: (delivery) => void agent.#receive(delivery) });
    await agent.publish();
    return agent;
  }

  private constructor(name: string, transport: Transport, models: Model[], answer: Answer) {
    this.name = name;
    this.#transport = transport;
    this.models = models;
    this.#answer = answer;
  }

  async publish(change: Partial<State> = {}): Promise<void> {
    this.#sequence += 1;
    const state = { ...this.#state(), ...change };
    await this.#transport.publishState(this.name, JSON.stringify(State.parse(state)));
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #receive(delivery: Delivery): Promise<void> {
    if (!("text" in delivery.content)) return;
    const command = CommandV2.parse(JSON.parse(delivery.content.text));
    this.commands.push(command);
    const answer = await this.#answer(command, this);
    if (answer === undefined) return;
    await this.publish();
    const envelope = { version: 2, command_id: command.command_id, agent: this.name, timestamp: isoTime(Date.now()) };
    const text = JSON.stringify({ success: true, ...envelope, ...answer });
    await this.#transport.respond({ replyTo: command.reply_to }, command.command_id, text, { durable: false });
    await this.#transport.release(delivery);
  }

  #state(): State {
    const now = isoTime(this.#transport.now());
    return {
      timestamp: now,
      status: "running",
      processed_commands: this.commands.length,
      ollama_available: true,
      version: 2,
      agent: this.name,
      instance: `instance-of-${this.name}`,
      sequence: this.#sequence,
      started_at: now,
      agent_version: "0.1.0",
      host: this.name,
      shared_inbox: "auto",
      serves_shared_inbox: false,
      clock_offset_ms: 0,
      refused_commands: 0,
      degraded_reason: null,
      commands: [],
      ollama: { reachable: true, version: "0.12.0", error: null, checked_at: now },
      models: this.models,
      model_count: this.models.length,
      running: [],
      jobs: this.jobs,
      job_count: this.jobs.length,
      disk: { path: "/usr/share/ollama", free_bytes: 4e9, total_bytes: 1e12 },
      gpus: [],
      truncated: [],
    };
  }
}

/** Lists, pulls and deletes as an agent does; a pull stays queued. */
export function answerAsAgent(command: CommandV2, agent: ScriptedAgent): Partial<Response> {
  const name = command.model_name ?? "";
  if (command.command === "list_models") return { models: agent.models };
  if (command.command === "ping") return { message: "pong" };
  if (command.command === "pull_model") {
    const job = queuedJob(agent.name, name, command.command_id);
    agent.jobs.push(job);
    return { job };
  }
  if (!agent.models.some((model) => sameModel(model.name, name)))
    return { success: false, code: "not_found", error: `Model "${name}" is not on ${agent.name}` };
  agent.models = agent.models.filter((model) => !sameModel(model.name, name));
  return { message: `Successfully deleted model ${name}` };
}

export function modelOf(name: string, change: Partial<Model> = {}): Model {
  return { name, size: 9_053_116_391, modified_at: "2026-03-01T10:00:00.123456789+01:00", digest: "ac89", ...change };
}

function queuedJob(agent: string, model: string, id: string): Job {
  return {
    id,
    agent,
    kind: "pull",
    model,
    state: "queued",
    completed_bytes: 0,
    total_bytes: null,
    bytes_per_second: null,
    eta_seconds: null,
    started_at: null,
    ended_at: null,
    code: null,
    error: null,
  };
}
