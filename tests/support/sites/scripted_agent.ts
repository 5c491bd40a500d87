// An agent for tests of the platform side: answers commands and publishes its state on any transport. No Ollama, no disk.
import { createHash } from "node:crypto";
import { isoTime } from "#src/base/clock.ts";
import { sameModel } from "#src/base/model_name.ts";
import {
  CommandV2,
  type DiskUsage,
  isEnded,
  type Job,
  type Model,
  type ModelDetails,
  newPull,
  type Response,
  type RunningModel,
  State,
} from "#src/protocol.ts";
import type { Delivery, Transport } from "#src/transport.ts";
import { rawKey, type SigningKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";

type Said = Partial<Response> | undefined;
/** What the agent says to a command, and when; undefined: nothing at all. */
export type Answer = (command: CommandV2, agent: ScriptedAgent) => Said | Promise<Said>;

export class ScriptedAgent {
  readonly name: string;
  readonly #transport: Transport;
  answer: Answer;
  readonly commands: CommandV2[] = [];
  models: Model[];
  running: RunningModel[] = [];
  usage: DiskUsage = USAGE;
  jobs: Job[] = [];
  /** Signs its states and responses. Null: it is of a release that does not sign. */
  key: SigningKey | null;
  boot = 1;
  /** What all its states have, in place of the usual. */
  always: Partial<State> = {};
  /** Jobs that its state no longer lists. */
  oldJobs: Job[] = [];
  #sequence = 0;
  readonly #startedAt: string;

  /** @param store where it opens its handle: a memory store, or whatever opens a transport */
  static async open(
    store: { open(): Transport },
    name: string,
    {
      models = [],
      answer = answerAsAgent,
      key = null,
      boot = 1,
    }: { models?: readonly Model[]; answer?: Answer; key?: SigningKey | null; boot?: number } = {},
  ): Promise<ScriptedAgent> {
    const transport = store.open();
    await transport.connect();
    await transport.openInbox({ agent: name });
    const agent = new ScriptedAgent(name, transport, { models: [...models], answer, key });
    agent.boot = boot;
    await transport.receive({ agent: name }, { deliver: (delivery) => void agent.#receive(delivery) });
    await agent.publish();
    return agent;
  }

  private constructor(
    name: string,
    transport: Transport,
    { models, answer, key }: { models: Model[]; answer: Answer; key: SigningKey | null },
  ) {
    this.name = name;
    this.#transport = transport;
    this.#startedAt = isoTime(transport.now());
    this.models = models;
    this.answer = answer;
    this.key = key;
  }

  now(): string {
    return isoTime(this.#transport.now());
  }

  async publish(change: Partial<State> = {}): Promise<void> {
    this.#sequence += 1;
    const state = { ...this.#state(), ...this.always, ...change };
    await this.#transport.publishState(this.name, this.#sign("state", State.parse(state)));
  }

  /** Also what no agent publishes. */
  async publishRaw(change: object): Promise<void> {
    await this.#transport.publishState(this.name, JSON.stringify({ ...this.#state(), ...change }));
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #receive(delivery: Delivery): Promise<void> {
    if (!("text" in delivery.content)) return;
    const { text: sent } = delivery.content;
    const command = CommandV2.parse(JSON.parse(sent));
    this.commands.push(command);
    const answer = await this.answer(command, this);
    if (answer === undefined) return;
    await this.publish();
    const envelope = { version: 2, command_id: command.command_id, agent: this.name, timestamp: isoTime(Date.now()) };
    const request = this.key === null ? {} : { request: createHash("sha256").update(sent).digest("hex") };
    const text = this.#sign("response", { success: true, ...envelope, ...answer, ...request });
    await this.#transport.respond({ replyTo: command.reply_to }, command.command_id, text, { durable: false });
    await this.#transport.release(delivery);
  }

  #sign(kind: "state" | "response", document: object): string {
    const text = JSON.stringify(document);
    return this.key === null ? text : signDocument(kind, text, this.key);
  }

  #state(): State {
    const now = this.now();
    const signing = { boot: this.boot, published_at_ms: this.#transport.now() };
    return {
      ...(this.key === null ? {} : { key: rawKey(this.key), ...signing }),
      timestamp: now,
      status: "running",
      processed_commands: this.commands.length,
      ollama_available: true,
      version: 2,
      agent: this.name,
      instance: `instance-of-${this.name}`,
      sequence: this.#sequence,
      started_at: this.#startedAt,
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
      running: this.running,
      jobs: this.jobs,
      job_count: this.jobs.length,
      disk: { path: "/usr/share/ollama", free_bytes: 4e9, total_bytes: 1e12 },
      gpus: [],
      truncated: [],
    };
  }
}

/** Does what an agent does; a pull stays queued. */
export function answerAsAgent(command: CommandV2, agent: ScriptedAgent): Partial<Response> {
  const name = command.model_name ?? "";
  switch (command.command) {
    case "list_models":
      return { models: agent.models };
    case "list_running":
      return { running: agent.running };
    case "list_jobs":
      return { jobs: [...agent.oldJobs, ...agent.jobs] };
    case "ping":
      return { message: "pong" };
    case "pull_model": {
      const job = newPull(command.command_id, agent.name, name);
      agent.jobs.push(job);
      return { job };
    }
    case "disk_usage":
      return { disk_usage: agent.usage };
    case "prune":
      return prune(command, agent);
    case "cancel_job":
      return cancel(agent, String(command.arguments?.["job_id"]));
    default:
      return answerAboutModel(command, agent, name);
  }
}

function answerAboutModel(command: CommandV2, agent: ScriptedAgent, name: string): Partial<Response> {
  const model = agent.models.find((candidate) => sameModel(candidate.name, name));
  if (model === undefined)
    return { success: false, code: "not_found", error: `Model "${name}" is not on ${agent.name}` };
  if (command.command === "show_model") return { show: SHOWN };
  if (command.command === "copy_model") {
    const destination = String(command.arguments?.["destination"]);
    agent.models = [...agent.models.filter((other) => other.name !== destination), { ...model, name: destination }];
    return { message: `Copied ${name} to ${destination}` };
  }
  if (command.command === "load_model") {
    const kept = command.arguments?.["keep_alive"];
    const expires_at = new Date(Date.parse(agent.now()) + Number(kept ?? 300) * 1000).toISOString();
    const loaded = { name: model.name, size: model.size, size_vram: model.size, expires_at };
    agent.running = [...agent.running.filter((other) => !sameModel(other.name, name)), loaded];
    return { message: `Loaded ${name}`, running: [loaded] };
  }
  if (command.command === "unload_model") {
    agent.running = agent.running.filter((other) => !sameModel(other.name, name));
    return { message: `Unloaded ${name}` };
  }
  agent.models = agent.models.filter((other) => other !== model);
  return { message: `Successfully deleted model ${name}` };
}

function prune({ arguments: given }: CommandV2, agent: ScriptedAgent): Partial<Response> {
  const { partials, orphans } = agent.usage;
  const dry_run = given?.["dry_run"] === true;
  const removed = [
    ...(given?.["orphans"] === true
      ? []
      : partials.map(({ digest, bytes }) => ({ kind: "partial" as const, digest, bytes }))),
    ...(given?.["partials"] === true
      ? []
      : orphans.map(({ digest, bytes }) => ({ kind: "orphan" as const, digest, bytes }))),
  ];
  if (!dry_run) agent.usage = { ...agent.usage, partials: [], orphans: [], partials_bytes: 0, orphans_bytes: 0 };
  const bytes = removed.reduce((sum, each) => sum + each.bytes, 0);
  return { pruned: { dry_run, bytes, count: removed.length, removed, kept: [] } };
}

/** A disk with one model, an unfinished download and an orphan. */
const LEFT = { changed_at: "2026-11-27T18:11:02.123Z", job_id: null, model: null };
export const USAGE: DiskUsage = {
  path: "/usr/share/ollama/.ollama/models/blobs",
  free_bytes: 412_000_000_000,
  total_bytes: 983_000_000_000,
  models_bytes: 9_053_116_391,
  partials_bytes: 1_203_298_304,
  orphans_bytes: 2_019_377_376,
  models: [{ name: "phi4:latest", own_bytes: 9_053_116_391, shared_bytes: 0 }],
  partials: [
    { ...LEFT, digest: `sha256:${"e".repeat(64)}`, bytes: 1_203_298_304, model: "gemma3:12b", job_id: "job-1" },
  ],
  orphans: [{ ...LEFT, digest: `sha256:${"d".repeat(64)}`, bytes: 2_019_377_376 }],
};

function cancel(agent: ScriptedAgent, id: string): Partial<Response> {
  const job = agent.jobs.find((candidate) => candidate.id === id);
  if (job === undefined) return { success: false, code: "not_found", error: `No job ${id} is on ${agent.name}` };
  if (isEnded(job)) return { success: false, code: "conflict", error: `Cannot cancel: it has ${job.state}` };
  const end = { state: "cancelled", code: "cancelled", error: "Cancelled", ended_at: agent.now() } as const;
  const ended: Job = { ...job, ...end, partial_bytes: job.completed_bytes };
  agent.jobs = agent.jobs.map((other) => (other.id === id ? ended : other));
  return { job: ended };
}

/** A part of Ollama's answer about a model. */
export const SHOWN: ModelDetails = {
  details: { family: "llama", parameter_size: "14.7B", quantization_level: "Q4_K_M" },
  capabilities: ["completion", "tools"],
  parameters: 'stop                           "<|user|>"\ntemperature                    0.7',
  template: "{{ .Prompt }}",
  license: "MIT License\nCopyright (c)",
  model_info: { "general.architecture": "llama", "llama.context_length": 16384, "llama.embedding_length": 5120 },
};

export function modelOf(name: string, change: Partial<Model> = {}): Model {
  return { name, size: 9_053_116_391, modified_at: "2026-03-01T10:00:00.123456789+01:00", digest: "ac89", ...change };
}
