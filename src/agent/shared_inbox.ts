// Which agent serves the shared inbox: decided by each from the state documents alone.
// Imports the seam, protocol, clock.
import type { Clock } from "../clock.ts";
import { LIMITS, OLD_SERVICE_AGENT, State, StateV1 } from "../protocol.ts";
import type { StateRecord, Transport } from "../transport.ts";

/** What decides: each agent's mode and condition, live documents only. */
export interface Candidate {
  readonly agent: string;
  readonly mode: "on" | "off" | "auto";
  readonly running: boolean;
  readonly ollamaReachable: boolean;
}

/**
 * The agent that serves: a live `on`; else the first by name that is `auto`, running and has Ollama; else the first
 * live `auto`. Nobody while an old service is alive.
 */
export function chooseServer(candidates: readonly Candidate[], oldServiceAlive: boolean): string | null {
  if (oldServiceAlive) return null;
  const live = candidates.filter(({ running }) => running).toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  const auto = live.filter(({ mode }) => mode === "auto");
  const chosen =
    live.find(({ mode }) => mode === "on") ?? auto.find(({ ollamaReachable }) => ollamaReachable) ?? auto[0];
  return chosen?.agent ?? null;
}

interface Sighting {
  readonly text: string;
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
    if (me.mode === "off" || !me.running) return false;
    const others: Candidate[] = [];
    let oldServiceAlive = false;
    for (const record of await this.#transport.readStates()) {
      if (record.agent === me.agent || !this.#isLive(record)) continue;
      if (record.agent === OLD_SERVICE_AGENT && isOldService(record)) oldServiceAlive = true;
      const other = candidate(record);
      if (other !== null) others.push(other);
    }
    return chooseServer([...others, me], oldServiceAlive) === me.agent;
  }

  #isLive(record: StateRecord): boolean {
    if (!("text" in record.content)) return false;
    const { text } = record.content;
    const nowMs = this.#clock.monotonic();
    const known = this.#sightings.get(record.agent);
    const ageMs = Math.max(0, this.#transport.now() - record.publishedAtMs);
    const sighting = known?.text === text ? known : { text, movedAtMs: nowMs - ageMs };
    this.#sightings.set(record.agent, sighting);
    return nowMs - sighting.movedAtMs < LIMITS.silentMs;
  }
}

function isOldService(record: StateRecord): boolean {
  const document = parse(record);
  return StateV1.safeParse(document).success && !State.safeParse(document).success;
}

function candidate(record: StateRecord): Candidate | null {
  const state = State.safeParse(parse(record)).data;
  if (state === undefined || state.agent !== record.agent) return null;
  const { agent, shared_inbox: mode, status, ollama } = state;
  return { agent, mode, running: status === "running", ollamaReachable: ollama.reachable };
}

function parse({ content }: StateRecord): unknown {
  if (!("text" in content)) return undefined;
  try {
    return JSON.parse(content.text);
  } catch {
    return undefined;
  }
}
