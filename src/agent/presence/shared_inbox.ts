// Decides which agent serves the shared inbox: each agent decides for itself, from the state documents alone.
import type { Clock } from "../../base/clock.ts";
import { parseJson } from "../../base/foreign_text.ts";
import type { Log } from "../../base/log.ts";
import { Sightings } from "../../base/sightings.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, type SharedInboxMode, State, StateV1 } from "../../protocol.ts";
import type { StateReader, StateRecord, Transport } from "../../transport.ts";
import { parseRawKey } from "../../trust/keys.ts";
import { verifyDocument } from "../../trust/signature.ts";
import { PassedOver } from "./passed_over.ts";

/** As `--shared-inbox` sets it. `only`: as `on`, and no legacy service runs here, whatever its state document says. */
export type ServingMode = SharedInboxMode | "only";

/** The mode and condition of one live agent, which decide. */
export interface Candidate {
  readonly agent: string;
  readonly mode: ServingMode;
  /** `reading`: its ledger cannot be written. It serves lists if no other agent can serve. */
  readonly serves: "all" | "reading" | "nothing";
  readonly ollamaReachable: boolean;
  readonly isServing: boolean;
}

/**
 * The agent that serves: a live `only`; else a live `on`; else the first by name that is `auto`, running and has Ollama;
 * else the first live `auto`. An agent that serves reading verbs only comes last. While a legacy service is alive, no agent
 * serves but an `only`.
 */
export function chooseServer(candidates: readonly Candidate[], legacyServiceAlive: boolean): string | null {
  const byName = candidates.toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  const live = ["all", "reading"].flatMap((what) => byName.filter(({ serves }) => serves === what));
  const only = live.find(({ mode }) => mode === "only");
  if (only !== undefined || legacyServiceAlive) return only?.agent ?? null;
  const auto = live.filter(({ mode }) => mode === "auto");
  const chosen =
    live.find(({ mode }) => mode === "on") ??
    auto.find(({ serves, ollamaReachable }) => serves === "all" && ollamaReachable) ??
    auto[0];
  return chosen?.agent ?? null;
}

/** The fields of a state document that decide. The lists beside them may have thousands of entries. */
const CandidateState = State.pick({
  version: true,
  agent: true,
  shared_inbox: true,
  shared_inbox_only: true,
  serves_shared_inbox: true,
  status: true,
  reading_only: true,
  ollama: true,
  key: true,
});

/** A legacy service that is alive, instead of a candidate. */
const LEGACY_SERVICE = "legacy service";

export interface ElectionDeps {
  readonly transport: Pick<Transport, "now" | "readState" | "openStates" | "commandsIn" | "respondedAtMs">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Watches the documents of the other agents, and whether the one that is chosen answers. */
export class SharedInboxElection {
  readonly #transport: Pick<Transport, "readState">;
  readonly #states: StateReader;
  readonly #clock: Clock;
  readonly #others: Sightings<Candidate | typeof LEGACY_SERVICE>;
  readonly #passedOver: PassedOver;
  /** Another agent, which served when all documents were read last. */
  #server: string | null = null;

  /** @param signedOnly only a state that is signed by the key that it names counts. Whose key that is, no agent knows */
  constructor({ transport, clock, log }: ElectionDeps, signedOnly = false) {
    this.#transport = transport;
    this.#passedOver = new PassedOver({ transport, clock, log });
    this.#states = transport.openStates();
    this.#clock = clock;
    const parse = (agent: string, text: string) => readCandidate(agent, text, signedOnly);
    this.#others = new Sightings({ transport, clock, silentMs: LIMITS.silentMs, parse });
  }

  /**
   * Whether this agent is the one that serves. An agent that does not serve reads only the document of the one that
   * does, and all documents once that one no longer does: with dozens of agents on a file server, each would otherwise
   * read dozens of documents every 5 s.
   * @param me this agent as it would publish itself
   * @param hasLooked whether the caller has just called `look()`
   * @throws CourierError when the documents cannot be read
   */
  async serves(me: Candidate, hasLooked = false): Promise<boolean> {
    if (me.mode === "off" || me.serves === "nothing") return false;
    const server = this.#server;
    if (!hasLooked && server !== null && (await this.#stillServes(server)) && !(await this.#passesOver(server)))
      return false;
    if (!hasLooked) await this.look(me.agent);
    let chosen = this.#choose(me);
    if (chosen === null || chosen === me.agent) this.#passedOver.clear();
    else if (await this.#passesOver(chosen)) chosen = this.#choose(me);
    return chosen === me.agent;
  }

  /** @returns the agent that serves, of those that are not passed over */
  #choose(me: Candidate): string | null {
    const live = this.#others.live().map(({ document }) => document);
    const others = live.filter((other) => other !== LEGACY_SERVICE);
    const candidates = others.filter(({ agent }) => !this.#passedOver.has(agent));
    const chosen = chooseServer([...candidates, me], others.length < live.length);
    this.#server = candidates.find((other) => other.agent === chosen && servesWell(other))?.agent ?? null;
    return chosen;
  }

  async #passesOver(agent: string): Promise<boolean> {
    return await this.#passedOver.judge(agent, this.#others.of(agent)?.silentMs ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Reads all documents. Each is reduced to a candidate and dropped before the next one is read.
   * @param agent this agent
   * @returns the document under its name, if that was published since the last look; else null
   */
  async look(agent: string): Promise<StateRecord | null> {
    const readAtMs = this.#clock.monotonic();
    let own: StateRecord | null = null;
    const present = await this.#states.read((record) => {
      if (record.agent === agent) own = record;
      else this.#others.see(record, readAtMs);
    });
    this.#others.looked(present, readAtMs);
    return own;
  }

  async #stillServes(server: string): Promise<boolean> {
    const readAtMs = this.#clock.monotonic();
    const record = await this.#transport.readState(server);
    if (record !== null) this.#others.see(record, readAtMs);
    const sighting = this.#others.of(server);
    if (sighting === undefined || !sighting.isLive || sighting.document === LEGACY_SERVICE) return false;
    return servesWell(sighting.document);
  }
}

/** No other agent could do better, except one that is chosen before it: this one gives way to that by itself. */
function servesWell({ isServing, serves, ollamaReachable }: Candidate): boolean {
  return isServing && serves === "all" && ollamaReachable;
}

/** Undefined for a text that is no state document. A legacy service writes in place, so that its text may be half there. */
function readCandidate(
  agent: string,
  text: string,
  signedOnly: boolean,
): Candidate | typeof LEGACY_SERVICE | undefined {
  const document = parseJson(text);
  if (agent === LEGACY_SERVICE_AGENT) return StateV1.safeParse(document).success ? LEGACY_SERVICE : undefined;
  const state = CandidateState.safeParse(document).data;
  if (state?.agent !== agent) return undefined;
  if (signedOnly && verifyDocument("state", text, parseRawKey(state.key ?? "")) !== "signed") return undefined;
  const mode = state.shared_inbox_only === true ? "only" : state.shared_inbox;
  const { status, reading_only: readingOnly, ollama } = state;
  const serves = status === "running" ? "all" : status === "degraded" && readingOnly === true ? "reading" : "nothing";
  return { agent, mode, serves, ollamaReachable: ollama.reachable, isServing: state.serves_shared_inbox };
}
