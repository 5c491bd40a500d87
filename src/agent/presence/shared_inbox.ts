// Which agent serves the shared inbox: decided by each from the state documents alone.
// Imports the seam's types, protocol, clock.
import type { Clock } from "../../base/clock.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, State, StateV1 } from "../../protocol.ts";
import type { StateRecord, Transport } from "../../transport.ts";

/** What decides: each agent's mode and condition, live documents only. */
export interface Candidate {
  readonly agent: string;
  readonly mode: "on" | "off" | "auto";
  /** What it takes: an agent that can note nothing serves lists, where no other can serve. */
  readonly serves: "all" | "reading" | "nothing";
  readonly ollamaReachable: boolean;
  readonly isServing: boolean;
}

/**
 * The agent that serves: a live `on`; else the first by name that is `auto`, running and has Ollama; else the first
 * live `auto`. One that serves reading verbs only comes last. Nobody while a legacy service is alive.
 */
export function chooseServer(candidates: readonly Candidate[], legacyServiceAlive: boolean): string | null {
  if (legacyServiceAlive) return null;
  const byName = candidates.toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  const live = ["all", "reading"].flatMap((what) => byName.filter(({ serves }) => serves === what));
  const auto = live.filter(({ mode }) => mode === "auto");
  const chosen =
    live.find(({ mode }) => mode === "on") ??
    auto.find(({ serves, ollamaReachable }) => serves === "all" && ollamaReachable) ??
    auto[0];
  return chosen?.agent ?? null;
}

/** What a document last said that could be read: legacy services write in place, so one look may find it empty or half. */
interface Sighting {
  readonly text: string;
  /** Null: a legacy service. */
  readonly candidate: Candidate | null;
  readonly movedAtMs: number;
}

/** Watches the documents of the others by their content moving. */
export class SharedInboxElection {
  readonly #transport: Pick<Transport, "now">;
  readonly #clock: Clock;
  readonly #sightings = new Map<string, Sighting>();
  /** Another agent, which served when all documents were read last. */
  #server: string | null = null;

  constructor(transport: Pick<Transport, "now">, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
  }

  /**
   * Whose documents decide now. Who serves reads all of them, and gives way; the others look only whether it still does:
   * with dozens of agents on a file server each would else read dozens.
   */
  wanted(me: Candidate): "all" | readonly string[] {
    if (mayNotServe(me)) return [];
    return this.#server === null ? "all" : [this.#server];
  }

  /**
   * Whether this agent is the one.
   * @param me this agent as it would publish itself
   * @param records the documents that were `wanted`, as they are now
   * @returns null when these do not decide it any more: all documents do
   */
  serves(me: Candidate, records: readonly StateRecord[]): boolean | null {
    if (mayNotServe(me)) return false;
    for (const record of records) if (record.agent !== me.agent) this.#see(record);
    const live = this.#live();
    if (this.#server !== null) {
      if (live.some((other) => other?.agent === this.#server && servesWell(other))) return false;
      this.#server = null;
      return null;
    }
    const others = live.filter((candidate) => candidate !== null);
    const chosen = chooseServer([...others, me], others.length < live.length);
    this.#server = others.find((other) => other.agent === chosen && servesWell(other))?.agent ?? null;
    return chosen === me.agent;
  }

  #live(): (Candidate | null)[] {
    const sinceMs = this.#clock.monotonic() - LIMITS.silentMs;
    return [...this.#sightings.values()]
      .filter(({ movedAtMs }) => movedAtMs > sinceMs)
      .map(({ candidate }) => candidate);
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

function mayNotServe({ mode, serves }: Candidate): boolean {
  return mode === "off" || serves === "nothing";
}

/** No other could do better, but one that is chosen before it: and to that one it gives way by itself. */
function servesWell({ isServing, serves, ollamaReachable }: Candidate): boolean {
  return isServing && serves === "all" && ollamaReachable;
}

/** Null for a legacy service; undefined for what is no document of either. */
function readCandidate(agent: string, text: string): Candidate | null | undefined {
  const document = parse(text);
  const state = State.safeParse(document).data;
  if (state === undefined) {
    return agent === LEGACY_SERVICE_AGENT && StateV1.safeParse(document).success ? null : undefined;
  }
  if (state.agent !== agent) return undefined;
  const { shared_inbox: mode, status, reading_only: readingOnly, ollama } = state;
  const serves = status === "running" ? "all" : status === "degraded" && readingOnly === true ? "reading" : "nothing";
  return { agent, mode, serves, ollamaReachable: ollama.reachable, isServing: state.serves_shared_inbox };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
