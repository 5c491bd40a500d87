// Every agent on the transport and its condition, from the state documents.
import { type Clock, isoTime } from "../base/clock.ts";
import { formatAgo, formatDuration } from "../base/format.ts";
import { sameModel } from "../base/model_name.ts";
import { type Sighting, Sightings } from "../base/sightings.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, parseState, type State, type StateDocument, type StateV1 } from "../protocol.ts";
import type { StateRecord, Transport } from "../transport.ts";

type AgentReason = "stopped" | "silent" | "share_stale" | "ollama_down" | "draining" | "degraded";

/** One agent as the platform side sees it. */
export interface AgentView {
  readonly agent: string;
  readonly online: boolean;
  /** The reason why it is offline, or the problem of an online agent; null when there is no problem. */
  readonly reason: AgentReason | null;
  /** When its document last changed, ISO 8601 on the transport's clock. */
  readonly lastSeenAt: string;
  /** For how long its document has stayed the same. */
  readonly silentMs: number;
  /** Its state; null for a legacy service, which has only `legacyState`. */
  readonly state: State | null;
  readonly legacyState: StateV1 | null;
}

const WHOLE_ATTEMPTS = 5;
const WHOLE_PAUSE_MS = 50;

/** Reads the state documents. `Sightings` decides which agents are alive. */
export class Fleet {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #sightings: Sightings<StateDocument>;
  #reading: Promise<readonly AgentView[]> | undefined;
  #last: { readonly views: readonly AgentView[]; readonly atMs: number } | undefined;

  constructor(transport: Transport, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
    this.#sightings = new Sightings({ clock, transport, silentMs: LIMITS.silentMs, parse: parseState });
  }

  /**
   * Every agent that has a readable state document, in order of names.
   * @param maxAgeMs an earlier result may be returned while it is younger; 0 reads now
   * @throws CourierError `unavailable` when the transport cannot be read
   */
  async read(maxAgeMs = 0): Promise<readonly AgentView[]> {
    const ageMs = this.#clock.monotonic() - (this.#last?.atMs ?? Number.NEGATIVE_INFINITY);
    if (this.#last === undefined || ageMs >= maxAgeMs) return await this.#readOnce();
    // Renewed early, so that a frequent caller never waits. A failure shows at the next call that has to wait.
    if (ageMs >= maxAgeMs / 2) this.#readOnce().catch(() => undefined);
    return this.#last.views;
  }

  /** Concurrent callers share one reading. */
  async #readOnce(): Promise<readonly AgentView[]> {
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = undefined;
    });
    return await this.#reading;
  }

  /** The last known documents, judged as of now. Does not touch the transport, so it works during an outage. */
  lastKnown(): readonly AgentView[] {
    return this.#sightings.all().map(viewOf);
  }

  async #readNow(): Promise<readonly AgentView[]> {
    const begunAtMs = this.#clock.monotonic();
    const records = await this.#readWhole();
    this.#sightings.keepOnly(new Set(records.map(({ agent }) => agent)));
    for (const record of records) this.#sightings.see(record, begunAtMs);
    const views = this.lastKnown().toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
    this.#last = { views, atMs: this.#clock.monotonic() };
    return views;
  }

  /** Reads again, a few times, while a legacy service that is new to us is writing its document. */
  async #readWhole(): Promise<readonly StateRecord[]> {
    for (let attempt = 1; ; attempt++) {
      const records = await this.#transport.readStates();
      const isWriting = records.some((record) => record.agent === LEGACY_SERVICE_AGENT && this.#isUnfinished(record));
      if (!isWriting || attempt === WHOLE_ATTEMPTS) return records;
      await this.#clock.sleep(WHOLE_PAUSE_MS);
    }
  }

  #isUnfinished({ agent, content, publishedAtMs }: StateRecord): boolean {
    if (this.#sightings.of(agent) !== undefined || !("text" in content)) return false;
    const isFresh = this.#transport.now() - publishedAtMs < LIMITS.silentMs;
    return isFresh && parseState(agent, content.text) === undefined;
  }
}

function viewOf(sighting: Sighting<StateDocument>): AgentView {
  const { agent, document, publishedAtMs, silentMs, isLive } = sighting;
  const { state, legacyState } = document;
  const stopped = state?.status === "stopped";
  return {
    agent,
    online: isLive && !stopped,
    reason: stopped ? "stopped" : isLive ? onlineReason(state, legacyState) : "silent",
    lastSeenAt: isoTime(publishedAtMs),
    silentMs,
    state,
    legacyState,
  };
}

/** Whether it may come back. A legacy service never says that it stops, so a silent one is gone. */
export function isPresent({ reason, legacyState, online }: AgentView): boolean {
  return reason !== "stopped" && (legacyState === null || online);
}

export function holdsModel({ state }: AgentView, model: string): boolean {
  return state?.models?.some(({ name }) => sameModel(name, model)) ?? false;
}

/** A view as an entry beside the agent's name: `online`, `silent for 34 s`, `stopped 5 minutes ago`. */
export function describeView(view: AgentView): string {
  const { reason, state } = view;
  if (reason === "stopped") return `stopped ${ago(view)}`;
  if (reason === "silent") return `silent for ${formatDuration(view.silentMs / 1000)}`;
  if (reason === "share_stale") return `last seen ${ago(view)}`;
  if (reason === "ollama_down") return `Ollama is not reachable: ${state?.ollama.error ?? "no reason given"}`;
  if (reason === "degraded") return `degraded: ${state?.degraded_reason ?? "no reason given"}`;
  return reason ?? "online";
}

/** A view as a sentence: `gpu-2 has been silent for 32 s`. */
export function describeAgent(view: AgentView): string {
  const description = describeView(view);
  if (view.reason === "stopped") return `${view.agent} ${description}`;
  if (view.reason === "silent") return `${view.agent} has been ${description}`;
  if (view.reason === "ollama_down") return `${view.agent}: ${description}`;
  return `${view.agent} ${view.reason === "share_stale" ? "was" : "is"} ${description}`;
}

function ago({ silentMs }: AgentView): string {
  return formatAgo(isoTime(0), silentMs);
}

function onlineReason(state: State | null, legacyState: StateV1 | null): AgentReason | null {
  if (state === null) return legacyState?.ollama_available === false ? "ollama_down" : null;
  if (state.status === "draining" || state.status === "degraded") return state.status;
  return state.ollama.checked_at !== null && !state.ollama.reachable ? "ollama_down" : null;
}
