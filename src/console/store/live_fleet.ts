// Keeps the fleet store current: reads the lists, then follows the stream of events, and catches up after each interruption.
import type { Clock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import type { AgentDocument } from "../../documents/agents.ts";
import type { JobDocument } from "../../documents/jobs.ts";
import type { Api } from "../api/api.ts";
import { EventParser, type ServerEvent } from "../api/event_parser.ts";
import type { FleetStore } from "./fleet_store.ts";
import { isActive } from "./job_facts.ts";

export interface LiveFleetDeps {
  readonly api: Pick<Api, "get" | "getAll" | "open">;
  readonly fleet: FleetStore;
  readonly clock: Clock;
}

/** The server sends a comment at least every 10 s: without one for this long, the connection is dead. */
const SILENT_MS = 16_000;
/** A request that is not answered in this time went into a connection that died unnoticed, as while a machine sleeps. */
const ANSWER_MS = 5_000;
const FIRST_PAUSE_MS = 300;
/** The page is right within 2 s after the server is back. */
const LONGEST_PAUSE_MS = 1_000;
/** Of jobs that ended, at first. */
export const HISTORY = 300;

export class LiveFleet {
  readonly #deps: LiveFleetDeps;
  #following: AbortController | undefined;
  #lastEventId: string | undefined;
  #heardMs = Number.NEGATIVE_INFINITY;
  /** Ended by `reconnect()`, so that it does not wait for its time. */
  #pause = new AbortController();

  constructor(deps: LiveFleetDeps) {
    this.#deps = deps;
  }

  /** Follows the fleet until `stop()`. Idempotent. */
  start(): void {
    if (this.#following !== undefined) return;
    const following = new AbortController();
    this.#following = following;
    void this.#run(following.signal);
  }

  /** Lets go of the connection. `start()` continues where it was. */
  stop(): void {
    this.#following?.abort();
    this.#deps.fleet.contact = "lost";
    this.#following = undefined;
  }

  /** After the page was asleep or cut off: a connection that was silent for `sinceMs` is replaced. */
  reconnect(sinceMs = 0): void {
    if (this.#deps.clock.monotonic() - this.#heardMs < sinceMs) return;
    this.#pause.abort();
    if (this.#following === undefined) return;
    this.stop();
    this.start();
  }

  async #run(stop: AbortSignal): Promise<void> {
    const { clock, fleet } = this.#deps;
    let pauseMs = FIRST_PAUSE_MS;
    while (!stop.aborted) {
      const startedMs = clock.monotonic();
      const failure = await this.#follow(stop).catch(asCourierError);
      // Another run may have taken over.
      if (stop.aborted) return;
      fleet.contact = "lost";
      if (failure?.code === "unauthenticated") return;
      if (clock.monotonic() - startedMs > LONGEST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS;
      this.#pause = new AbortController();
      await clock.sleep(pauseMs, AbortSignal.any([stop, this.#pause.signal]));
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    }
  }

  /** Until the stream ends or is silent. */
  async #follow(stop: AbortSignal): Promise<undefined> {
    const over = new AbortController();
    const signal = AbortSignal.any([stop, over.signal]);
    const after = this.#lastEventId === undefined ? "" : `&lastEventId=${encodeURIComponent(this.#lastEventId)}`;
    const listening = new Listening(this.#deps, signal);
    try {
      const opening = this.#deps.api.open(`v1/events?figures=true${after}`, signal);
      const reader = (await this.#within(ANSWER_MS, opening, signal)).getReader();
      const parser = new EventParser();
      const decoder = new TextDecoder();
      for (;;) {
        const piece = await this.#within(SILENT_MS, reader.read(), signal);
        if (piece.value === undefined) return undefined;
        this.#heardMs = this.#deps.clock.monotonic();
        for (const event of parser.push(decoder.decode(piece.value, { stream: true }))) {
          const taking = listening.take(event);
          await (event.event === "ready" ? this.#within(SILENT_MS, taking, signal) : taking);
          this.#lastEventId = event.id ?? this.#lastEventId;
        }
      }
    } finally {
      over.abort();
    }
  }

  async #within<Value>(limitMs: number, reading: Promise<Value>, signal: AbortSignal): Promise<Value> {
    const { clock } = this.#deps;
    const timer = new AbortController();
    const silence = clock.sleep(limitMs, AbortSignal.any([signal, timer.signal])).then(() => {
      throw new CourierError("unavailable", "The server is silent");
    });
    try {
      return await Promise.race([reading, silence]);
    } finally {
      timer.abort();
      silence.catch(() => undefined);
    }
  }
}

/** One connection. Its lists are read when the stream is open, so that no change falls between the two. */
class Listening {
  readonly #deps: LiveFleetDeps;
  readonly #signal: AbortSignal;

  constructor(deps: LiveFleetDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Events wait in the connection while the lists are read. */
  async take({ event, data }: ServerEvent): Promise<void> {
    const { fleet, clock } = this.#deps;
    if (event === "ready") await this.#readLists();
    else if (event === "agent") fleet.putAgent(JSON.parse(data));
    else if (event === "progress" || event === "ended") {
      const job: JobDocument = JSON.parse(data);
      fleet.putJobs([job], clock.now());
    } else if (event === "models" || event === "removed") {
      const { agent }: { readonly agent: string } = JSON.parse(data);
      if (event === "models") fleet.changedLists(agent);
      else fleet.removeAgent(agent);
    }
  }

  async #readLists(): Promise<void> {
    const { api, fleet, clock } = this.#deps;
    const [agents, history, active] = await Promise.all([
      api.getAll<AgentDocument>("v1/agents?limit=2000", "agents", this.#signal),
      api.get<{ jobs: readonly JobDocument[] }>(`v1/jobs?sort=-created_at&limit=${HISTORY}`, this.#signal),
      this.#readActive(),
    ]);
    fleet.setAgents(agents);
    const before = fleet.jobs.filter(isActive);
    const listed = [...history.jobs, ...active];
    fleet.putJobs(listed, clock.now());
    const known = new Set(listed.map(({ id }) => id));
    fleet.contact = "live";
    await Promise.all(before.filter(({ id }) => !known.has(id)).map(async (job) => await this.#lookUp(job)));
  }

  async #readActive(): Promise<readonly JobDocument[]> {
    const states = ["queued", "running", "verifying"].map(async (state) => {
      return await this.#deps.api.getAll<JobDocument>(`v1/jobs?limit=1000&state=${state}`, "jobs", this.#signal);
    });
    return (await Promise.all(states)).flat();
  }

  /** A job that was active before the interruption and is in no list now. */
  async #lookUp({ id, agent, model }: JobDocument): Promise<void> {
    const { api, fleet, clock } = this.#deps;
    try {
      if (id === null) throw new CourierError("not_found", "It cannot be followed");
      fleet.putJobs([await api.get<JobDocument>(`v1/jobs/${encodeURIComponent(id)}`, this.#signal)], clock.now());
    } catch (error) {
      if (asCourierError(error).code === "not_found") fleet.forgetJob(id ?? `${agent} ${model}`);
    }
  }
}
