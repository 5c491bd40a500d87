// The agent's state document as text, made from what its parts know and cut to the size that readers accept.
import { isoTime } from "../../base/clock.ts";
import { fittingCount } from "../../base/fitting.ts";
import {
  type Fetch,
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
import { rawKey, type SigningKey } from "../../trust/keys.ts";
import { SIGNATURE_BYTES, signDocument } from "../../trust/signature.ts";
import type { Place } from "./boot_counter.ts";
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
    /** Patterns of models that no command deletes. */
    readonly protect: readonly string[];
    readonly platform: Platform;
    readonly requireSignatures: string;
    /** Null: its documents are not signed. */
    readonly key: SigningKey | null;
  };
  readonly condition: Pick<Condition, "status" | "servesSharedInbox" | "foreignStates">;
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
  /** Null: this box brings nothing into the mirror. */
  readonly fetches: { list(): readonly Fetch[] } | null;
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
  /** The place of the last document; a new start of the agent goes on from another one. */
  after: Place = { boot: 1, sequence: 0 };
  readonly #deps: StateDocumentDeps;

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
    const models = monitor.models === null ? null : [...monitor.models];
    const listed = [...jobs.list()];
    const { boot, sequence } = (this.after = { ...this.after, sequence: this.after.sequence + 1 });
    const text = fit({
      timestamp: isoTime(nowMs),
      version: 2,
      ...processFields(about),
      sequence,
      clock_offset_ms: Math.round(transportNowMs - nowMs),
      ...condition.status,
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
      ...signedFields(about.key, boot, transportNowMs),
    });
    const signed = about.key === null ? text : signDocument("state", text, about.key);
    return { text: signed, sequence, diskBytes: box.disk?.total_bytes ?? 0 };
  }
}

/** The same as long as the process runs. */
function processFields({ identity, agentVersion }: StateDocumentDeps["about"]) {
  const { agent, instance, host, startedAt } = identity;
  return { agent, instance, host, started_at: startedAt, agent_version: agentVersion };
}

/** The fields that most agents have no use for. */
function rareFields({ about, activity, condition, fetches }: StateDocumentDeps): Partial<State> {
  return {
    // Not as a value of `shared_inbox`: to readers of 0.1.0 it would make the whole document unreadable.
    ...(about.sharedInbox === "only" ? { shared_inbox_only: true } : {}),
    ...(about.protect.length === 0 ? {} : { protected: about.protect.slice(0, LIMITS.protectedPatterns) }),
    ...(about.requireSignatures === "off" ? {} : { requires_signatures: about.requireSignatures }),
    ...(activity.waiting === 0 ? {} : { waiting_commands: activity.waiting }),
    ...(condition.foreignStates === 0 ? {} : { foreign_states: condition.foreignStates }),
    ...(activity.lastRefused.length === 0 ? {} : { refused: activity.lastRefused }),
    // Also without any: it shows that this agent can fetch.
    ...(fetches === null ? {} : { fetches: [...fetches.list()] }),
  };
}

function signedFields(key: SigningKey | null, boot: number, transportNowMs: number): Partial<State> {
  return key === null ? {} : { key: rawKey(key), boot, published_at_ms: Math.max(0, Math.round(transportNowMs)) };
}

/** What a document may have without its signature. */
const UNSIGNED_BYTES = LIMITS.stateBytes - SIGNATURE_BYTES;

/** Lists that are too long are cut and named in `truncated`. */
function fit(state: State): string {
  let fitting = state;
  for (const list of ["models", "running", "jobs", "commands"] as const) {
    const items: readonly unknown[] = fitting[list] ?? [];
    const without = { ...fitting, [list]: [], truncated: [...fitting.truncated, list] };
    const maxBytes = UNSIGNED_BYTES - Buffer.byteLength(JSON.stringify(without));
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
