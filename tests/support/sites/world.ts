// Agents and senders as processes on one ground, under steps: they send, crash, stop, start, give up, and time passes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assemble } from "#src/agent/assemble.ts";
import { Ledger } from "#src/agent/ledger/ledger.ts";
import { isoTime } from "#src/base/clock.ts";
import { asCourierError } from "#src/base/errors.ts";
import { Mailbox } from "#src/courier/mailbox/mailbox.ts";
import { type Response, State, type Verb } from "#src/protocol.ts";
import type { Transport } from "#src/transport.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { until } from "#tests/support/until.ts";
import { AGENT_OPTIONS, PHI4, ScriptedOllama, signing } from "./agent_on_memory.ts";
import type { Ground, Lying } from "./grounds.ts";
import { type Death, Life } from "./life.ts";

/** A version 2 command to one agent. */
interface Request {
  readonly is: "request";
  readonly sender: number;
  readonly agent: string;
  readonly verb: Verb;
  readonly death: Death | null;
}

/** A version 1 command, to anyone who serves the shared inbox. */
interface OldRequest {
  readonly is: "old";
  readonly sender: number;
  readonly verb: "list_models" | "pull_model" | "delete_model";
  readonly death: Death | null;
}

export type Step =
  | Request
  | OldRequest
  | { readonly is: "start" | "stop" | "kill"; readonly agent: string }
  | { readonly is: "giveUp" | "replace"; readonly sender: number }
  | { readonly is: "pass"; readonly ms: number };

export const AGENTS = ["gpu-1", "gpu-2"];
export const SENDERS = 2;
const REQUEST_MS = 7_200_000;
/** After a leap: states are published, and who serves is agreed upon again. */
const AWAKE_MS = 30_000;

/** What anybody can see. */
export interface View extends Lying {
  /** By command that somebody waits for; what a sender waits for that crashed stays `waits`. */
  readonly outcomes: readonly string[];
  readonly agents: readonly AgentSeen[];
}

interface AgentSeen {
  readonly name: string;
  readonly process: string;
  readonly status: string | undefined;
  readonly serves: boolean | undefined;
  /** The deletes that its Ollama received, by model. */
  readonly deletes: readonly string[];
  readonly models: readonly string[];
}

interface AgentRun {
  readonly life: Life;
  readonly ledger: Ledger;
  readonly stop: AbortController;
  /** How it ended by itself; null while it runs. */
  ended: string | null;
}

interface AgentProcess {
  readonly dir: string;
  readonly ollama: ScriptedOllama;
  running: AgentRun | null;
}

interface SenderProcess {
  readonly life: Life;
  readonly mailbox: Mailbox;
  giveUp: AbortController;
}

export class World {
  readonly #ground: Ground;
  readonly #agents = new Map<string, AgentProcess>();
  readonly #senders: SenderProcess[] = [];
  readonly #outcomes: string[] = [];
  /** The waiting callers of each. */
  readonly #askers: Life[] = [];
  readonly #handles: { readonly life: Life; readonly handle: Transport }[] = [];
  #old: Transport | undefined;
  #named = 0;

  constructor(ground: Ground) {
    this.#ground = ground;
    for (const name of AGENTS) {
      const dir = mkdtempSync(join(tmpdir(), "gpu-courier-world-"));
      this.#agents.set(name, { dir, ollama: new ScriptedOllama(), running: null });
    }
  }

  async begin(): Promise<void> {
    this.#old = this.#open(new Life(this.#ground.clock));
    await this.#old.connect();
    for (const name of AGENTS) await this.#start(name);
    for (let sender = 0; sender < SENDERS; sender++) await this.#replace(sender);
    await this.#pass(AWAKE_MS);
  }

  /** Every process ends, and everything is removed. */
  async end(): Promise<void> {
    for (const { running } of this.#agents.values()) if (runs(running)) running.life.kill();
    for (const { life, handle } of this.#handles) {
      life.bury();
      await handle.close();
    }
    for (const { dir } of this.#agents.values()) rmSync(dir, { recursive: true, force: true });
    await this.#ground.remove();
  }

  /** What anybody can see, but for the ids, which are random. */
  view(): View {
    const agents = [...this.#agents].map(([name, { ollama, running }]) => {
      const state = State.safeParse(JSON.parse(this.#ground.state(name) ?? "null")).data;
      const deletes = ollama.calls.filter((call) => call.startsWith("delete")).toSorted();
      // A pull that a crash interrupted is begun again: what counts is that the model is there.
      const models = [...new Set(ollama.models.map((model) => model.name))].toSorted();
      const process = running?.life.isDead === true ? "crashed" : (running?.ended ?? "runs");
      return { name, process, status: state?.status, serves: state?.serves_shared_inbox, deletes, models };
    });
    return { ...this.#ground.lying(), outcomes: [...this.#outcomes], agents };
  }

  async take(step: Step): Promise<void> {
    // No two things are written at one instant: what they hold and when they were written is what tells them apart.
    await this.#ground.clock.advance(1);
    if (step.is === "pass") await this.#pass(step.ms);
    else if (step.is === "request") await this.#request(step);
    else if (step.is === "old") await this.#sendOld(step);
    else if ("agent" in step) await this.#takeAgent(step.is, step.agent);
    else if (step.is === "giveUp") this.#sender(step.sender).giveUp.abort();
    else await this.#replace(step.sender);
    await settle();
  }

  /** How many commands living senders still wait for. */
  get waiting(): number {
    return this.#outcomes.filter((outcome, index) => outcome === "waits" && !this.#askers[index]?.isDead).length;
  }

  /** Whether a call on the transport is under way. */
  get isBusy(): boolean {
    return this.#handles.some(({ life }) => life.isBusy);
  }

  /** No death is left over from a step at which nobody came to it. */
  disarm(): void {
    for (const { running } of this.#agents.values()) if (running !== null) running.life.death = null;
  }

  async advance(ms: number): Promise<void> {
    await this.#ground.clock.advance(ms);
  }

  async #takeAgent(is: "start" | "stop" | "kill", name: string): Promise<void> {
    if (is === "start") await this.#start(name);
    else if (is === "stop") await this.#stop(name);
    else this.#agents.get(name)?.running?.life.kill();
  }

  async #pass(ms: number): Promise<void> {
    if (ms > AWAKE_MS) await this.#ground.clock.leap(ms - AWAKE_MS);
    await this.#ground.clock.advance(Math.min(ms, AWAKE_MS));
  }

  #open(life: Life): Transport {
    const handle = this.#ground.open(life.handleClock);
    this.#handles.push({ life, handle });
    return life.transport(handle);
  }

  async #request({ sender, agent, verb, death }: Request): Promise<void> {
    const { mailbox, giveUp } = this.#sender(sender);
    this.#arm(agent, death);
    const order = { verb, modelName: this.#model(agent, verb) };
    const waiting = {
      timeoutMs: REQUEST_MS,
      signal: giveUp.signal,
      lastKnown: async () => ({ text: "nothing", isRunning: false, isReporting: true }),
    };
    this.#note(sender, mailbox.request(agent, order, waiting));
  }

  /** As a legacy backend: it waits for a list, and for nothing else. */
  async #sendOld({ sender, verb, death }: OldRequest): Promise<void> {
    const serving = [...this.#agents.keys()].find((name) => this.#serves(name)) ?? "gpu-1";
    this.#arm(serving, death);
    if (verb === "list_models") {
      const { mailbox, giveUp } = this.#sender(sender);
      const waiting = {
        timeoutMs: 30_000,
        signal: giveUp.signal,
        lastKnown: async () => ({ text: "nothing", isRunning: false, isReporting: true }),
      };
      this.#note(sender, mailbox.requestVersion1({ verb }, waiting));
      return;
    }
    const id = `${verb}_${this.#named}`;
    const text = JSON.stringify({ command: verb, command_id: id, model_name: this.#model(serving, verb) });
    await this.#old?.send("shared", id, text, { durable: false });
  }

  #sender(index: number): SenderProcess {
    const sender = this.#senders[index];
    if (sender === undefined) throw new Error(`There is no sender ${index}`);
    return sender;
  }

  #note(sender: number, answer: Promise<Response>): void {
    const { life } = this.#sender(sender);
    const index = this.#outcomes.push("waits") - 1;
    this.#askers.push(life);
    const note = (outcome: string): void => {
      if (!life.isDead) this.#outcomes[index] = outcome;
    };
    answer.then(
      ({ success, code = "failed" }) => note(success ? "done" : code),
      (error: unknown) => note(`gave up: ${asCourierError(error).code}`),
    );
  }

  /** A model of its own for each command; what is to be deleted is there. */
  #model(agent: string, verb: Verb): string | undefined {
    const name = `model-${this.#named++}:latest`;
    const ollama = this.#agents.get(agent)?.ollama;
    if (verb === "delete_model" && ollama !== undefined) ollama.models = [...ollama.models, { ...PHI4, name }];
    return verb === "delete_model" || verb === "pull_model" ? name : undefined;
  }

  /**
   * A death is only for one that has a single command under way: which of several are answered before it differs from run to
   * run, on memory too.
   */
  #arm(agent: string, death: Death | null): void {
    if (Object.values(this.#ground.lying().inboxes).some((count) => count > 0)) return;
    const running = this.#agents.get(agent)?.running;
    if (running !== undefined && running !== null) running.life.death = death;
  }

  #serves(name: string): boolean {
    const state = State.safeParse(JSON.parse(this.#ground.state(name) ?? "null")).data;
    return state?.serves_shared_inbox === true && this.#agents.get(name)?.running?.life.isDead === false;
  }

  async #start(name: string): Promise<void> {
    const agent = this.#agents.get(name);
    if (agent === undefined || runs(agent.running)) return;
    const ledger = new Ledger(agent.dir);
    const life = new Life(this.#ground.clock, () => ledger.close());
    const running: AgentRun = { life, ledger, stop: new AbortController(), ended: null };
    agent.running = running;
    const process = assemble({
      identity: {
        agent: name,
        instance: `instance-of-${name}`,
        host: name,
        startedAt: isoTime(this.#ground.clock.now()),
      },
      transport: this.#open(life),
      ollama: life.guard(agent.ollama),
      ledger,
      ...AGENT_OPTIONS,
      ...signing(agent.dir, name),
      clock: life.clock,
    });
    process.run(running.stop.signal).then(
      () => (running.ended = "stopped"),
      (error: unknown) => (running.ended = String(error)),
    );
    await settle();
    await this.#ground.clock.advance(AWAKE_MS);
  }

  async #stop(name: string): Promise<void> {
    const running = this.#agents.get(name)?.running ?? null;
    if (!runs(running)) return;
    running.stop.abort();
    await this.#ground.clock.advance(AWAKE_MS);
    await until(() => running.ended !== null);
    running.ledger.close();
  }

  /** Another process in place of this sender, which crashes. */
  async #replace(index: number): Promise<void> {
    this.#senders[index]?.life.kill();
    const life = new Life(this.#ground.clock);
    const transport = this.#open(life);
    await transport.connect();
    const mailbox = new Mailbox(transport, life.clock, `ctl-${this.#handles.length}`);
    this.#senders[index] = { life, mailbox, giveUp: new AbortController() };
  }
}

function runs(running: AgentRun | null): running is AgentRun {
  return running !== null && running.ended === null && !running.life.isDead;
}
