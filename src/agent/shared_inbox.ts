// Which agent serves the shared inbox: decided by each from the state documents alone.
// Imports the seam, protocol, clock.
import type { Clock } from "../clock.ts";
import { LIMITS, OLD_SERVICE_AGENT, State, StateV1 } from "../protocol.ts";
import type { StateRecord, Transport } from "../transport.ts";

/** What decides: each agent's mode and condition, live documents only. */
export interface Candidate {
  readonly agent: string;
  readonly mode: "on" | "off" | "auto";
  /** What it takes: an agent that can note nothing serves lists, where no other can serve. */
  readonly serves: "all" | "reading" | "nothing";
  readonly ollamaReachable: boolean;
}

/**
 * The agent that serves: a live `on`; else the first by name that is `auto`, running and has Ollama; else the first
 * live `auto`. One that serves reading verbs only comes last. Nobody while an old service is alive.
 */
export function chooseServer(candidates: readonly Candidate[], oldServiceAlive: boolean): string | null {
  if (oldServiceAlive) return null;
  const byName = candidates.toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  const live = ["all", "reading"].flatMap((what) => byName.filter(({ serves }) => serves === what));
  const auto = live.filter(({ mode }) => mode === "auto");
  const chosen =
    live.find(({ mode }) => mode === "on") ??
    auto.find(({ serves, ollamaReachable }) => serves === "all" && ollamaReachable) ??
    auto[0];
  return chosen?.agent ?? null;
}

/** What a document last said that could be read: old services write in place, so one look may find it empty or half. */
interface Sighting {
  readonly text: string;
  /** Null: an old service. */
  readonly candidate: Candidate | null;
  readonly movedAtMs: number;
}

/** Watches the documents of the others by their content moving. */
export class SharedInboxElection {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #sightings = new Map<string, Sighting>();

  constructor(transport: Transport, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
  }

  /**
   * Whether this agent is the one, by the documents as they are now.
   * @param me this agent as it would publish itself
   * @throws CourierError `unavailable` when they cannot be read
   */
  async serves(me: Candidate): Promise<boolean> {
    if (me.mode === "off" || me.serves === "nothing") return false;
    for (const record of await this.#transport.readStates()) if (record.agent !== me.agent) this.#see(record);
    const sinceMs = this.#clock.monotonic() - LIMITS.silentMs;
    const live = [...this.#sightings.values()]
      .filter(({ movedAtMs }) => movedAtMs > sinceMs)
      .map(({ candidate }) => candidate);
    const others = live.filter((candidate) => candidate !== null);
    return chooseServer([...others, me], others.length < live.length) === me.agent;
  }

  #see(record: StateRecord): void {
    const { agent, content, publishedAtMs } = record;
    if (!("text" in content) || this.#sightings.get(agent)?.text === content.text) return;
    const candidate = readCandidate(agent, content.text);
    if (candidate === undefined) return;
    const ageMs = Math.max(0, this.#transport.now() - publishedAtMs);
    this.#sightings.set(agent, { text: content.text, candidate, movedAtMs: this.#clock.monotonic() - ageMs });
  }
}

/** Null for an old service; undefined for what is no document of either. */
function readCandidate(agent: string, text: string): Candidate | null | undefined {
  const document = parse(text);
  const state = State.safeParse(document).data;
  if (state === undefined) {
    return agent === OLD_SERVICE_AGENT && StateV1.safeParse(document).success ? null : undefined;
  }
  if (state.agent !== agent) return undefined;
  const { shared_inbox: mode, status, reading_only: readingOnly, ollama } = state;
  const serves = status === "running" ? "all" : status === "degraded" && readingOnly === true ? "reading" : "nothing";
  return { agent, mode, serves, ollamaReachable: ollama.reachable };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
