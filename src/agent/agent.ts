// The agent as a whole: puts its parts together, keeps them going, drains them.
// Imports agent/*, the seam, clock, errors, outage, service manager.
import type { Clock } from "../base/clock.ts";
import { asCourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { sameModel } from "../base/model_name.ts";
import { Outage } from "../base/outage.ts";
import { FIRST_LOOK_MS, type ServiceManager } from "../program/service_manager.ts";
import type { AgentStatus, SharedInboxMode } from "../protocol.ts";
import type { StateRecord, SweepScope, Transport } from "../transport.ts";
import { Box } from "./box.ts";
import { Intake } from "./commands/intake.ts";
import type { AcceptedCommand } from "./commands/judge.ts";
import { type Result, runVerb } from "./commands/verbs.ts";
import { Worker } from "./commands/worker.ts";
import { PulledBlobs } from "./disk/pulled_blobs.ts";
import type { DiskReserve } from "./disk/reserve.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { Protection } from "./models/protection.ts";
import { OllamaMonitor } from "./ollama/monitor.ts";
import type { Ollama } from "./ollama/ollama.ts";
import { type Identity, requireOwnName } from "./presence/identity.ts";
import { Pulse } from "./presence/pulse.ts";
import { type Candidate, SharedInboxElection } from "./presence/shared_inbox.ts";
import { type StateParts, StatePublisher } from "./presence/state_publisher.ts";
import { statusLine } from "./presence/status_line.ts";
import type { PullLimits } from "./pulls/attempts.ts";
import type { HostNames } from "./pulls/host_names.ts";
import { Jobs, type JobsDeps } from "./pulls/jobs.ts";
import { Preflight } from "./pulls/preflight.ts";
import type { Registry } from "./pulls/registry.ts";
import { sweepAtTimes } from "./sweeping.ts";

export interface AgentOptions {
  readonly identity: Identity;
  readonly agentVersion: string;
  readonly transport: Transport;
  readonly ollama: Pick<
    Ollama,
    "version" | "listModels" | "listRunning" | "showModel" | "pullModel" | "deleteModel" | "copyModel" | "unloadModel"
  >;
  readonly ledger: Ledger;
  readonly sharedInbox: SharedInboxMode;
  readonly listTtlMs: number;
  readonly changeTtlMs: number;
  readonly modelsDir: string | undefined;
  /** Null: pulls begin without asking how large they are. */
  readonly registry: Pick<Registry, "readManifest"> | null;
  /** What pulls leave free on the models' disk. */
  readonly diskReserve: DiskReserve;
  /** Patterns of models that nobody may delete or overwrite. */
  readonly protect: readonly string[];
  /** How many pulls run at a time, and how long one is tried. */
  readonly maxPulls: number;
  readonly pullLimits: PullLimits;
  readonly hostNames: Pick<HostNames, "isMissing">;
  /** Told when the agent is ready, how it is, and that it comes round. */
  readonly service: ServiceManager;
  readonly clock: Clock;
  readonly log: Log;
}

/** Commands under way get so long to finish when the agent is told to stop; systemd's own patience is longer. */
const DRAIN_MS = 8000;
const RETRY_MS = 1000;
const LOOPS_END_MS = 500;
/** A ledger that could not be written is tried again so often. */
const LEDGER_MS = 5000;
const LEDGER_SWEEP_MS = 3_600_000;

export class Agent {
  readonly #options: AgentOptions;
  readonly #outage: Outage;
  readonly #box: Box;
  readonly #monitor: OllamaMonitor;
  readonly #preflight: Preflight;
  readonly #protection: Protection;
  readonly #jobs: Jobs;
  readonly #worker: Worker;
  readonly #intake: Intake;
  readonly #state: StatePublisher;
  readonly #election: SharedInboxElection;
  readonly #pulse: Pulse<"state" | "Ollama" | "ledger">;
  #phase: Exclude<AgentStatus, "degraded"> = "running";
  /** Another agent has this name: who, in words. */
  #namesake: string | null = null;
  /** Why only reading verbs are served, as it was last logged. */
  #saidTrouble: string | null = null;
  #ready = false;

  constructor(options: AgentOptions) {
    const { transport, identity, ollama, clock, log } = options;
    this.#options = options;
    this.#outage = new Outage({ clock, log, subject: "The share" });
    this.#box = new Box(options.modelsDir);
    this.#pulse = new Pulse(["state", "Ollama", "ledger"], () => options.service.alive());
    this.#state = new StatePublisher({
      ...options,
      outage: this.#outage,
      parts: () => this.#parts(),
      look: async () => await this.#look(),
      conflict: (host) => this.#conflict(host),
      cameRound: () => {
        this.#tellStatus();
        this.#pulse.cameRound("state");
      },
    });
    const changed = (what: "state" | "progress" = "state"): void => {
      if (!this.#ready) return;
      this.#state.changed(what);
      if (what === "state") this.#tellStatus();
    };
    const looked = (): void => this.#pulse.cameRound("Ollama");
    this.#monitor = new OllamaMonitor({ ollama, clock, log, changed, looked });
    const pulled = async (model: string): Promise<number | null> => {
      await this.#monitor.refresh();
      return this.#monitor.models?.find(({ name }) => sameModel(name, model))?.size ?? null;
    };
    this.#preflight = new Preflight({ ...options, agent: identity.agent, box: this.#box });
    this.#protection = new Protection(identity.agent, options.protect);
    this.#jobs = new Jobs({
      ...pullDeps(options, this.#box, this.#preflight),
      changed,
      pulled,
    });
    this.#worker = new Worker({
      ...options,
      run: async (command, resumedSinceMs) => await this.#runVerb(command, resumedSinceMs),
      publishState: async () => await this.#state.publish(),
    });
    this.#intake = new Intake(transport, this.#worker, identity.agent, this.#outage);
    this.#election = new SharedInboxElection(transport, clock);
  }

  /**
   * Runs until the signal aborts, then drains: takes nothing new, finishes the commands under way, publishes `stopped`.
   * Jobs stop where they are and go on at the next start.
   * @throws CourierError `conflict` when another box has this name
   */
  async run(signal: AbortSignal): Promise<void> {
    const { transport, identity, ledger, service, clock, log } = this.#options;
    void clock.sleep(FIRST_LOOK_MS, signal).then(() => !signal.aborted && service.ready());
    this.#tellStatus();
    if (!(await this.#connect(signal))) return;
    // By the clock that its entries are noted by: the box's may have been wrong then, or be so now.
    ledger.sweep(transport.now());
    await this.#untilReachable(async () => await requireOwnName(transport, identity, clock, signal), signal);
    this.#lookToLedger();
    await this.#untilReachable(async () => await this.#intake.open("own"), signal);
    await this.#untilReachable(async () => await this.#intake.resume(identity), signal);
    if (signal.aborted) return;
    await this.#state.publish();
    this.#ready = true;
    this.#tellStatus();
    service.ready();
    log.info({ agent: identity.agent, transport: transport.description }, "Ready");
    const loops = [
      this.#state.run(signal),
      this.#monitor.run(signal),
      this.#box.run(clock, () => this.#state.changed("state"), signal),
      sweepAtTimes({ transport, clock, log, scope: () => this.#sweepScope() }, signal),
      this.#keepLedger(signal),
    ];
    this.#jobs.start();
    const looped = Promise.all(loops);
    await Promise.race([looped, aborted(signal)]);
    // What still waits for Ollama or a driver must not hold the drain up.
    await Promise.race([looped, clock.sleep(LOOPS_END_MS)]);
    await this.#drain();
  }

  async #runVerb(command: AcceptedCommand, resumedSinceMs: number | null): Promise<Result> {
    const { ollama, clock } = this.#options;
    return await runVerb(command, {
      jobs: this.#jobs,
      ollama,
      monitor: this.#monitor,
      models: this.#box.models,
      preflight: this.#preflight,
      protection: this.#protection,
      clock,
      resumedSinceMs,
    });
  }

  async #connect(signal: AbortSignal): Promise<boolean> {
    const { transport } = this.#options;
    await this.#untilReachable(async () => await transport.connect(), signal);
    return !signal.aborted;
  }

  async #drain(): Promise<void> {
    const { transport, log, identity } = this.#options;
    this.#phase = "draining";
    this.#tellStatus();
    log.info({ agent: identity.agent }, "Draining");
    await this.#state.publish();
    await Promise.all([this.#intake.close("own"), this.#intake.close("shared")]);
    await Promise.all([this.#worker.drain(DRAIN_MS), this.#jobs.close(DRAIN_MS)]);
    this.#phase = "stopped";
    this.#tellStatus();
    await this.#state.publish();
    this.#state.close();
    await transport.close();
    log.info({ agent: identity.agent }, "Stopped");
  }

  async #untilReachable(attempt: () => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await attempt();
        this.#outage.ended("start");
        this.#options.service.alive();
        return;
      } catch (error) {
        const { code } = asCourierError(error);
        if (code !== "unavailable" && code !== "forbidden" && code !== "exhausted") throw error;
        this.#outage.failed("start", error);
        this.#tellStatus();
        this.#options.service.ready();
        this.#options.service.alive();
        await this.#options.clock.sleep(RETRY_MS, signal);
      }
    }
  }

  /** Looks at the documents that matter: is our name ours, and who serves the shared inbox? Where they cannot be read, nothing changes. */
  async #look(): Promise<void> {
    const { transport, identity, log } = this.#options;
    try {
      if (this.#phase === "running" && this.#namesake === null) await this.#intake.open("own");
      const records = await this.#readStates(this.#election.wanted(this.#candidate()));
      this.#state.see(records.find(({ agent }) => agent === identity.agent) ?? null);
      const serves =
        this.#election.serves(this.#candidate(), records) ??
        this.#election.serves(this.#candidate(), await transport.readStates());
      if (this.#phase !== "running" || serves === null || serves === this.#intake.isOpen("shared")) return;
      await (serves ? this.#intake.open("shared") : this.#intake.close("shared"));
      log.info({}, serves ? "Serving the shared inbox" : "No longer serving the shared inbox");
      this.#state.changed("state");
    } catch (error) {
      log.debug({ reason: asCourierError(error).message }, "Cannot look at the states");
    }
  }

  /** Our own is always among them. */
  async #readStates(wanted: "all" | readonly string[]): Promise<readonly StateRecord[]> {
    const { transport, identity } = this.#options;
    if (wanted === "all") return await transport.readStates();
    const records: StateRecord[] = [];
    for (const agent of [...wanted, identity.agent]) {
      const record = await transport.readState(agent);
      if (record !== null) records.push(record);
    }
    return records;
  }

  #candidate(): Candidate {
    return {
      agent: this.#options.identity.agent,
      mode: this.#options.sharedInbox,
      serves:
        this.#phase !== "running" || this.#namesake !== null ? "nothing" : this.#isReadingOnly ? "reading" : "all",
      ollamaReachable: this.#monitor.health.reachable,
      isServing: this.#intake.isOpen("shared"),
    };
  }

  /** What is ours to sweep just now: all while we serve for all, nothing while the name may be another's. */
  #sweepScope(): SweepScope | null {
    if (this.#phase !== "running" || this.#namesake !== null) return null;
    return this.#intake.isOpen("shared") ? "everything" : { agent: this.#options.identity.agent };
  }

  /** Two boxes of one name: both take nothing until one of them is gone. */
  #conflict(otherHost: string | null): void {
    const { identity, log } = this.#options;
    if (this.#phase !== "running") return;
    const reason =
      otherHost === null
        ? null
        : `Another agent is called "${identity.agent}": on ${otherHost}, this is ${identity.host}`;
    if (reason !== null && this.#namesake === null) log.error({ other_host: otherHost, host: identity.host }, reason);
    if (reason === null) log.info({}, "The name is ours alone again");
    this.#namesake = reason;
    const settled = reason === null ? this.#intake.open("own") : this.#intake.close("own");
    settled.catch((error: unknown) => log.warn({ error }, "Cannot open the inbox"));
  }

  get #isReadingOnly(): boolean {
    return this.#options.ledger.trouble !== null;
  }

  async #keepLedger(signal: AbortSignal): Promise<void> {
    const { clock, ledger, transport } = this.#options;
    for (let sweptAtMs = clock.monotonic(); ; ) {
      this.#pulse.cameRound("ledger");
      await clock.sleep(LEDGER_MS, signal);
      if (signal.aborted) return;
      if (ledger.trouble !== null || this.#saidTrouble !== null) this.#lookToLedger();
      if (ledger.trouble === null) this.#jobs.noteMissed();
      if (clock.monotonic() - sweptAtMs < LEDGER_SWEEP_MS) continue;
      ledger.sweep(transport.now());
      sweptAtMs = clock.monotonic();
    }
  }

  /** Where nothing can be noted, changing verbs are refused with the reason; that is tried again until it can be. */
  #lookToLedger(): void {
    const { ledger, transport, clock, log } = this.#options;
    ledger.recover(clock.now(), transport.now());
    const { message = null, hint } = ledger.trouble ?? {};
    if (message === this.#saidTrouble) return;
    if (message === null) log.info({}, "Changing verbs are served again");
    else log.error({ hint }, `Only reading verbs are served: ${message}`);
    this.#saidTrouble = message;
    if (this.#ready) this.#state.changed("state");
  }

  #tellStatus(): void {
    const { service, identity, transport } = this.#options;
    const { reason } = this.#outage;
    if (this.#phase === "running" && reason !== null) service.status(`waiting for the share: ${reason}`);
    else if (!this.#ready) service.status("looking at the share");
    else {
      const parts = { ...this.#condition(), ollama: this.#monitor.health, jobs: this.#jobs.active() };
      service.status(statusLine(identity.agent, transport.description, parts));
    }
  }

  #condition(): Pick<StateParts, "status" | "degraded_reason" | "reading_only"> {
    const trouble = this.#options.ledger.trouble;
    const reason = this.#namesake ?? (trouble === null ? null : `only reading verbs are served: ${trouble.message}`);
    if (this.#phase !== "running" || reason === null) return { status: this.#phase, degraded_reason: null };
    return { status: "degraded", degraded_reason: reason, reading_only: this.#namesake === null };
  }

  #parts(): StateParts {
    return {
      ...this.#condition(),
      agent_version: this.#options.agentVersion,
      processed_commands: this.#worker.processedCommands,
      refused_commands: this.#worker.refusedCommands,
      commands: this.#worker.commands,
      ollama_available: this.#monitor.health.reachable,
      ollama: this.#monitor.health,
      models: this.#monitor.models === null ? null : [...this.#monitor.models],
      running: [...this.#monitor.running],
      jobs: [...this.#jobs.list()],
      shared_inbox: this.#options.sharedInbox,
      serves_shared_inbox: this.#intake.isOpen("shared"),
      disk: this.#box.disk,
      gpus: [...this.#box.gpus],
    };
  }
}

function pullDeps(options: AgentOptions, { models }: Box, preflight: Preflight): Omit<JobsDeps, "changed" | "pulled"> {
  const { identity, ollama, ledger, hostNames, maxPulls, pullLimits, clock, log } = options;
  const blobs = new PulledBlobs(() => models.dir, clock);
  return {
    agent: identity.agent,
    ollama,
    ledger,
    blobs,
    models,
    preflight,
    hostNames,
    clock,
    log,
    maxPulls,
    limits: pullLimits,
  };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
