// Who is on the transport and how they are, from their state documents. Imports the seam, protocol, clock, errors.
import { type Clock, isoTime } from "../base/clock.ts";
import { type Sighting, Sightings } from "../base/sightings.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, parseState, type State, type StateDocument, type StateV1 } from "../protocol.ts";
import type { StateRecord, Transport } from "../transport.ts";

export type AgentReason = "stopped" | "silent" | "share_stale" | "ollama_down" | "draining" | "degraded";

/** One agent as the platform side sees it. */
export interface AgentView {
  readonly agent: string;
  readonly online: boolean;
  /** Why it is offline, or what is wrong although it is online; null when all is well. */
  readonly reason: AgentReason | null;
  /** When its document last moved, ISO 8601 on the transport's clock. */
  readonly lastSeenAt: string;
  /** For how long its document has not moved. */
  readonly silentMs: number;
  /** Its state; null for a legacy service, which has only `legacyState`. */
  readonly state: State | null;
  readonly legacyState: StateV1 | null;
}

const WHOLE_ATTEMPTS = 5;
const WHOLE_PAUSE_MS = 50;

/**
 * Reads the state documents and judges by their content moving, on this machine's monotonic clock; the first sight of a
 * document is judged by its age on the transport's clock.
 */
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
   * @param maxAgeMs an earlier answer this young is given again; 0 reads now
   * @throws CourierError `unavailable` when the transport cannot be read
   */
  async read(maxAgeMs = 0): Promise<readonly AgentView[]> {
    const ageMs = this.#clock.monotonic() - (this.#last?.atMs ?? Number.NEGATIVE_INFINITY);
    if (this.#last === undefined || ageMs >= maxAgeMs) return await this.#readOnce();
    // Renewed in good time, so that who asks often never waits for a reading. What fails is told to who has to wait.
    if (ageMs >= maxAgeMs / 2) this.#readOnce().catch(() => undefined);
    return this.#last.views;
  }

  /** Joins a reading that is under way. */
  async #readOnce(): Promise<readonly AgentView[]> {
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = undefined;
    });
    return await this.#reading;
  }

  /** What was last seen, judged as of now, without touching the transport: for when it cannot be read. */
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

  /** Reads again, a few times, while a legacy service that was never seen is just writing its document. */
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

/** Not stopped, and no legacy service that is silent: that never says that it stops. */
export function isPresent({ reason, legacyState, online }: AgentView): boolean {
  return reason !== "stopped" && (legacyState === null || online);
}

/** A view in words, for messages: `online`, `silent for 34 s`, `stopped since 2026-01-02T03:04:05Z`. */
export function describeView(view: AgentView): string {
  if (view.reason === "stopped") return `stopped since ${view.lastSeenAt}`;
  if (view.reason === "silent") return `silent for ${Math.round(view.silentMs / 1000)} s`;
  if (view.reason === "ollama_down") return `Ollama is not reachable: ${view.state?.ollama.error ?? "no reason given"}`;
  if (view.reason === "degraded") return `degraded: ${view.state?.degraded_reason ?? "no reason given"}`;
  return view.reason ?? "online";
}

function onlineReason(state: State | null, legacyState: StateV1 | null): AgentReason | null {
  if (state === null) return legacyState?.ollama_available === false ? "ollama_down" : null;
  if (state.status === "draining" || state.status === "degraded") return state.status;
  return state.ollama.checked_at !== null && !state.ollama.reachable ? "ollama_down" : null;
}
