// The agent as a whole: starts its parts, keeps their loops running, drains them.
import { type Clock, within } from "../base/clock.ts";
import { asCourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Outage } from "../base/outage.ts";
import { FIRST_LOOK_MS, type ServiceManager } from "../program/service_manager.ts";
import type { Transport } from "../transport.ts";
import type { Changes } from "./changes.ts";
import type { Intake } from "./commands/intake.ts";
import type { Worker } from "./commands/worker.ts";
import type { LedgerUpkeep } from "./ledger/upkeep.ts";
import type { BootCounter } from "./presence/boot_counter.ts";
import type { Condition } from "./presence/condition.ts";
import type { DrainFile } from "./presence/drain_file.ts";
import type { Identity } from "./presence/identity.ts";
import type { NameWait } from "./presence/name_wait.ts";
import type { StatePublisher } from "./presence/state_publisher.ts";
import type { StatusLine } from "./presence/status_line.ts";
import type { Fetches } from "./pulls/fetches/fetches.ts";
import type { Jobs } from "./pulls/jobs.ts";

/** Work that goes on until the signal aborts; never rejects. */
interface Loop {
  run(signal: AbortSignal): Promise<void>;
}

export interface AgentDeps {
  readonly identity: Identity;
  readonly transport: Transport;
  readonly condition: Condition;
  readonly name: Pick<NameWait, "untilFree">;
  readonly boots: Pick<BootCounter, "raise">;
  readonly changes: Changes;
  readonly state: StatePublisher;
  readonly statusLine: StatusLine;
  readonly intake: Intake;
  readonly worker: Worker;
  readonly jobs: Jobs;
  /** Null: this box brings nothing into the mirror. */
  readonly fetches: Pick<Fetches, "start" | "close"> | null;
  readonly upkeep: LedgerUpkeep;
  /** The upkeep is one of them. */
  readonly loops: readonly Loop[];
  /** Null: nobody wants it. */
  readonly metricsFile: (Loop & { close(): void }) | null;
  /** Null: nobody can ask it to leave. */
  readonly drainFile: Pick<DrainFile, "clear" | "asked" | "done"> | null;
  readonly outage: Outage;
  readonly service: ServiceManager;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long commands under way may take to finish when the agent stops; systemd waits longer. */
const DRAIN_MS = 8000;
const RETRY_MS = 1000;
const LOOPS_END_MS = 500;
/** Senders have seen by then that it stopped: a server looks once a second, and a network may show it seconds later. */
const QUIET_MS = 5000;
/** An inbox that fills faster than it is emptied must not keep the agent. */
const LEAVE_MS = 60_000;

export class Agent {
  readonly #deps: AgentDeps;

  constructor(deps: AgentDeps) {
    this.#deps = deps;
  }

  /**
   * Runs until the signal aborts, then drains: takes nothing new, finishes the commands under way, publishes `stopped`.
   * Jobs stop where they are and go on at the next start. When it is asked to leave the transport, it empties its inbox first, and
   * ends.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { metricsFile } = this.#deps;
    void metricsFile?.run(signal);
    try {
      await this.#serve(signal);
    } finally {
      metricsFile?.close();
    }
  }

  async #serve(signal: AbortSignal): Promise<void> {
    const { loops, jobs, fetches, statusLine, drainFile, service, clock } = this.#deps;
    void clock.sleep(FIRST_LOOK_MS, signal).then(() => !signal.aborted && service.ready());
    statusLine.show();
    drainFile?.clear();
    await this.#start(signal);
    if (!this.#deps.condition.isReady) return;
    const ended = new AbortController();
    const until = AbortSignal.any([signal, ended.signal]);
    const looped = Promise.all(loops.map(async (loop) => await loop.run(until)));
    jobs.start();
    fetches?.start();
    if (await this.#isAskedToLeave(signal)) await this.#leave(signal);
    ended.abort();
    // A loop that still waits for Ollama or a driver must not hold up the drain.
    await within(clock, LOOPS_END_MS, looped, null);
    await this.#drain();
    drainFile?.done();
  }

  /** @returns false when it is to stop */
  async #isAskedToLeave(signal: AbortSignal): Promise<boolean> {
    const { drainFile } = this.#deps;
    if (drainFile !== null) return await drainFile.asked(signal);
    await aborted(signal);
    return false;
  }

  /** Empties its inbox for good: refuses what waits there and what still arrives, while senders learn that it stopped. */
  async #leave(signal: AbortSignal): Promise<void> {
    const { identity, transport, condition, state, statusLine, intake, worker, clock, log } = this.#deps;
    const { agent } = identity;
    log.info({ agent, transport: transport.description }, "Leaving this transport");
    condition.isLeaving = true;
    // Another agent can serve it.
    await intake.close("shared");
    await this.#closeWork();
    condition.phase = "stopped";
    statusLine.show();
    await state.publish();
    const stoppedAtMs = clock.monotonic();
    while (!signal.aborted && clock.monotonic() < stoppedAtMs + LEAVE_MS) {
      const isQuiet = clock.monotonic() - Math.max(stoppedAtMs, worker.takenAtMs) >= QUIET_MS;
      const waiting = isQuiet ? await transport.commandsIn({ agent }, () => true, 1).catch(() => null) : null;
      if (waiting?.length === 0) return;
      await clock.sleep(RETRY_MS, signal);
    }
    if (signal.aborted) return;
    log.warn({ agent }, "Leaving before the inbox was empty: those who wait there get no answer");
  }

  /** Returns before it is ready only when the signal aborts. */
  async #start(signal: AbortSignal): Promise<void> {
    const { identity, transport, name, boots, intake, upkeep, state } = this.#deps;
    await this.#untilReachable(async () => await transport.connect(), signal);
    if (signal.aborted) return;
    await this.#untilReachable(async () => await name.untilFree(signal), signal);
    await this.#untilReachable(async () => await boots.raise(), signal);
    if (signal.aborted) return;
    upkeep.begin();
    await this.#untilReachable(async () => await intake.open("own"), signal);
    await this.#untilReachable(async () => await intake.resume(identity), signal);
    if (signal.aborted) return;
    await state.publish();
    this.#becomeReady();
  }

  #becomeReady(): void {
    const { identity, transport, condition, changes, state, statusLine, service, log } = this.#deps;
    condition.isReady = true;
    changes.subscribe(state);
    changes.subscribe(statusLine);
    statusLine.show();
    service.ready();
    log.info({ agent: identity.agent, transport: transport.description }, "Ready");
  }

  async #drain(): Promise<void> {
    const { identity, transport, condition, state, statusLine, intake, worker, log } = this.#deps;
    log.info({ agent: identity.agent }, "Draining");
    if (condition.phase === "running") {
      condition.phase = "draining";
      statusLine.show();
      await state.publish();
    }
    await Promise.all([intake.close("own"), intake.close("shared")]);
    await Promise.all([worker.drain(DRAIN_MS), this.#closeWork()]);
    condition.phase = "stopped";
    statusLine.show();
    await state.publish();
    state.close();
    await transport.close();
    log.info({ agent: identity.agent }, "Stopped");
  }

  /** It goes on at the next start. */
  async #closeWork(): Promise<void> {
    const { jobs, fetches } = this.#deps;
    await Promise.all([jobs.close(DRAIN_MS), fetches?.close(DRAIN_MS)]);
  }

  async #untilReachable(attempt: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { outage, statusLine, service, clock } = this.#deps;
    while (!signal.aborted) {
      try {
        await attempt();
        outage.ended("start");
        service.alive();
        return;
      } catch (error) {
        const { code } = asCourierError(error);
        if (code !== "unavailable" && code !== "forbidden" && code !== "exhausted") throw error;
        outage.failed("start", error);
        statusLine.show();
        service.ready();
        service.alive();
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
