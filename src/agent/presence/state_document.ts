// The agent's state document as text, made from what its parts know and cut to the size that readers accept.
import { isoTime } from "../../base/clock.ts";
import { fittingCount } from "../../base/fitting.ts";
import {
  isEnded,
  type Job,
  type Labels,
  LIMITS,
  type Memory,
  type Model,
  type Platform,
  type RunningModel,
  type State,
} from "../../protocol.ts";
import type { Condition } from "./condition.ts";
import type { Identity } from "./identity.ts";
import type { ServingMode } from "./shared_inbox.ts";

export interface StateDocumentDeps {
  /** The part that stays the same. */
  readonly about: {
    readonly identity: Identity;
    readonly agentVersion: string;
    readonly sharedInbox: ServingMode;
    readonly labels: Labels;
    readonly platform: Platform;
    readonly requireSignatures: string;
  };
  readonly condition: Pick<Condition, "status" | "servesSharedInbox">;
  readonly activity: {
    readonly processed: number;
    readonly refused: number;
    readonly lastRefused: NonNullable<State["refused"]>;
    readonly waiting: number;
    readonly underWay: State["commands"];
  };
  readonly monitor: {
    readonly health: State["ollama"];
    readonly models: readonly Model[] | null;
    readonly running: readonly RunningModel[];
  };
  readonly jobs: { list(): readonly Job[] };
  readonly box: {
    readonly disk: State["disk"];
    readonly gpus: readonly State["gpus"][number][];
    readonly memory: Memory | null;
  };
}

export interface NextState {
  readonly text: string;
  readonly sequence: number;
  /** The size of the models' disk; 0 when unknown. */
  readonly diskBytes: number;
}

export class StateDocument {
  readonly #deps: StateDocumentDeps;
  #sequence = 0;

  constructor(deps: StateDocumentDeps) {
    this.#deps = deps;
  }

  /**
   * The next document of the sequence.
   * @param nowMs the box's clock
   * @param transportNowMs the same instant on the transport's clock
   */
  next(nowMs: number, transportNowMs: number): NextState {
    const { about, condition, activity, monitor, jobs, box } = this.#deps;
    const { identity } = about;
    const models = monitor.models === null ? null : [...monitor.models];
    const listed = [...jobs.list()];
    this.#sequence += 1;
    const text = fit({
      timestamp: isoTime(nowMs),
      version: 2,
      agent: identity.agent,
      instance: identity.instance,
      host: identity.host,
      started_at: identity.startedAt,
      sequence: this.#sequence,
      clock_offset_ms: Math.round(transportNowMs - nowMs),
      ...condition.status,
      agent_version: about.agentVersion,
      processed_commands: activity.processed,
      refused_commands: activity.refused,
      commands: activity.underWay,
      ollama_available: monitor.health.reachable,
      ollama: monitor.health,
      models,
      running: [...monitor.running],
      jobs: listed,
      shared_inbox: about.sharedInbox === "only" ? "on" : about.sharedInbox,
      serves_shared_inbox: condition.servesSharedInbox,
      disk: box.disk,
      gpus: [...box.gpus],
      memory: box.memory,
      labels: about.labels,
      platform: about.platform,
      model_count: models?.length ?? null,
      job_count: listed.length,
      truncated: [],
      ...rareFields(this.#deps),
    });
    return { text, sequence: this.#sequence, diskBytes: box.disk?.total_bytes ?? 0 };
  }
}

/** The fields that most agents have no use for. */
function rareFields({ about, activity }: StateDocumentDeps): Partial<State> {
  return {
    // Not as a value of `shared_inbox`: to readers of 0.1.0 it would make the whole document unreadable.
    ...(about.sharedInbox === "only" ? { shared_inbox_only: true } : {}),
    ...(about.requireSignatures === "off" ? {} : { requires_signatures: about.requireSignatures }),
    ...(activity.waiting === 0 ? {} : { waiting_commands: activity.waiting }),
    ...(activity.lastRefused.length === 0 ? {} : { refused: activity.lastRefused }),
  };
}

/** Lists that are too long are cut and named in `truncated`. */
function fit(state: State): string {
  let fitting = state;
  for (const list of ["models", "running", "jobs", "commands"] as const) {
    const items: readonly unknown[] = fitting[list] ?? [];
    const without = { ...fitting, [list]: [], truncated: [...fitting.truncated, list] };
    const maxBytes = LIMITS.stateBytes - Buffer.byteLength(JSON.stringify(without));
    const ranked = list === "jobs" ? mostWantedFirst(fitting.jobs) : items;
    const count = fittingCount(ranked, maxBytes);
    if (count === items.length && maxBytes > 0) break;
    if (items.length === 0) continue;
    const kept = new Set(ranked.slice(0, count));
    fitting = { ...without, [list]: items.filter((item) => kept.has(item)) };
  }
  return JSON.stringify(fitting);
}

/** Senders follow the jobs that run, and wait for the end of those that just ended; queued ones come last. */
function mostWantedFirst(jobs: readonly Job[]): readonly Job[] {
  const queued = jobs.filter(({ state }) => state === "queued");
  const ended = jobs.filter(isEnded).toReversed();
  const running = jobs.filter((job) => job.state !== "queued" && !isEnded(job));
  return [...running, ...ended, ...queued];
}
