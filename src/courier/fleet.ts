// Who is on the transport and how they are, from their state documents. Imports the seam, protocol, clock, errors.
import { type Clock, isoTime } from "../base/clock.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, State, StateV1 } from "../protocol.ts";
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

interface Sighting {
  readonly text: string;
  readonly state: State | null;
  readonly legacyState: StateV1 | null;
  readonly movedAtMs: number;
  readonly movedAtMonotonicMs: number;
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
  readonly #sightings = new Map<string, Sighting>();
  #reading: Promise<readonly AgentView[]> | undefined;
  #last: { readonly views: readonly AgentView[]; readonly atMs: number } | undefined;
  /** When the last two readings began, on the monotonic clock: what moved since the one before did so after it. */
  #begunAtMs = Number.NEGATIVE_INFINITY;
  #begunBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(transport: Transport, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
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
    return [...this.#sightings].map(([agent, sighting]) => this.#view(agent, sighting));
  }

  async #readNow(): Promise<readonly AgentView[]> {
    const begunAtMs = this.#clock.monotonic();
    const records = await this.#readWhole();
    [this.#begunBeforeMs, this.#begunAtMs] = [this.#begunAtMs, begunAtMs];
    const present = new Set(records.map(({ agent }) => agent));
    for (const agent of this.#sightings.keys()) if (!present.has(agent)) this.#sightings.delete(agent);
    for (const record of records) this.#see(record);
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
    if (this.#sightings.has(agent) || !("text" in content)) return false;
    const isFresh = this.#transport.now() - publishedAtMs < LIMITS.silentMs;
    return isFresh && parseState(agent, content.text) === undefined;
  }

  #see({ agent, content, publishedAtMs }: StateRecord): void {
    if (!("text" in content)) return;
    const known = this.#sightings.get(agent);
    if (known?.text === content.text) return;
    const ageMs = Math.max(0, this.#transport.now() - publishedAtMs);
    // A legacy service writes in place: what is empty or half just now is one that is writing.
    const parsed = parseState(agent, content.text) ?? (agent === LEGACY_SERVICE_AGENT ? known : undefined);
    if (parsed === undefined) return;
    // Its age says when it moved, if the clocks are right; that it was another one at the last reading does in any case.
    const earliestMs = known === undefined ? Number.NEGATIVE_INFINITY : this.#begunBeforeMs;
    this.#sightings.set(agent, {
      text: content.text,
      state: parsed.state,
      legacyState: parsed.legacyState,
      movedAtMs: publishedAtMs,
      movedAtMonotonicMs: Math.max(this.#clock.monotonic() - ageMs, earliestMs),
    });
  }

  #view(agent: string, sighting: Sighting): AgentView {
    const { state, legacyState, movedAtMs, movedAtMonotonicMs } = sighting;
    const silentMs = Math.max(0, Math.round(this.#clock.monotonic() - movedAtMonotonicMs));
    const silent = silentMs >= LIMITS.silentMs;
    const stopped = state?.status === "stopped";
    return {
      agent,
      online: !silent && !stopped,
      reason: stopped ? "stopped" : silent ? "silent" : onlineReason(state, legacyState),
      lastSeenAt: isoTime(movedAtMs),
      silentMs,
      state,
      legacyState,
    };
  }
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

function parseState(agent: string, text: string): { state: State | null; legacyState: StateV1 | null } | undefined {
  const document = parseJson(text);
  const state = State.safeParse(document);
  if (state.success) return state.data.agent === agent ? { state: state.data, legacyState: null } : undefined;
  const legacyState = agent === LEGACY_SERVICE_AGENT ? StateV1.safeParse(document) : undefined;
  return legacyState?.success === true ? { state: null, legacyState: legacyState.data } : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
