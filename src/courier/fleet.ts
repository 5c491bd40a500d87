// Every agent on the transport and its condition, from the state documents.
import type { Clock } from "../base/clock.ts";
import { compareTexts } from "../base/order.ts";
import { Sightings, signOfLifeMs } from "../base/sightings.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, parseState, type StateDocument } from "../protocol.ts";
import type { StateRecord, Transport } from "../transport.ts";
import { KnownAgents } from "../trust/agents/known_agents.ts";
import { type AgentView, viewOf } from "./agent_view.ts";
import { NO_DOCUMENT, VerifiedStates } from "./verified_states.ts";

const WHOLE_ATTEMPTS = 5;
const WHOLE_PAUSE_MS = 50;
/** An agent publishes again within its interval, and so replaces what somebody else put in place of its document. */
const REPLACED_WITHIN_MS = LIMITS.stateIntervalMs + 1_000;
const REPLACED_PAUSE_MS = 250;

/** Every agent on the transport. @throws CourierError `unavailable` when the transport cannot be read */
export interface FleetReader {
  /**
   * Every agent that has a readable state document, in order of names.
   * @param maxAgeMs an earlier result may be returned while it is younger; 0 reads now
   */
  read(maxAgeMs?: number): Promise<readonly AgentView[]>;
  /** One agent's view, at most as old; undefined when it has no document. */
  find(agent: string, maxAgeMs?: number): Promise<AgentView | undefined>;
  /** The last known views, judged as of now. Does not touch the transport, so it works during an outage. */
  lastKnown(): readonly AgentView[];
  /** Makes the next view of this agent one that is not older than this call. */
  refresh(agent: string): Promise<void>;
}

/** Reads all state documents when it is asked. `Sightings` decides which agents are alive. */
export class Fleet implements FleetReader {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #agents: KnownAgents;
  readonly #states: VerifiedStates;
  readonly #compare: (a: string, b: string) => number;
  readonly #sightings: Sightings<StateDocument>;
  /** When the documents that do not count were published, by agent. */
  #doubtful: ReadonlyMap<string, number> = new Map();
  #reading: Promise<readonly AgentView[]> | undefined;
  #last: { readonly views: readonly AgentView[]; readonly atMs: number } | undefined;

  /** @param compare the order of names; by default as the index has them */
  constructor(
    transport: Transport,
    clock: Clock,
    agents: KnownAgents = new KnownAgents(),
    compare: (a: string, b: string) => number = compareTexts,
  ) {
    this.#compare = compare;
    this.#transport = transport;
    this.#clock = clock;
    this.#agents = agents;
    this.#states = new VerifiedStates(agents);
    this.#sightings = new Sightings({ clock, transport, silentMs: LIMITS.silentMs, parse: parseState });
  }

  async read(maxAgeMs = 0): Promise<readonly AgentView[]> {
    const ageMs = this.#clock.monotonic() - (this.#last?.atMs ?? Number.NEGATIVE_INFINITY);
    if (this.#last === undefined || ageMs >= maxAgeMs) return await this.#readOnce();
    // Renewed early, so that a frequent caller never waits. A failure shows at the next call that has to wait.
    if (ageMs >= maxAgeMs / 2) this.#readOnce().catch(() => undefined);
    return this.#last.views;
  }

  async find(agent: string, maxAgeMs = 0): Promise<AgentView | undefined> {
    const isMeant = (view: AgentView): boolean => view.agent === agent;
    // It may have started since the last reading.
    return (await this.read(maxAgeMs)).find(isMeant) ?? (await this.read()).find(isMeant);
  }

  async refresh(): Promise<void> {
    // One that has begun may have passed the agent's document already.
    await this.#reading?.catch(() => undefined);
    await this.read();
  }

  /** Concurrent callers share one reading. */
  async #readOnce(): Promise<readonly AgentView[]> {
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = undefined;
    });
    return await this.#reading;
  }

  lastKnown(): readonly AgentView[] {
    const seen = this.#sightings.all().map((sighting) => viewOf(sighting, this.#agents.key(sighting.agent)));
    const doubtful = [...this.#doubtful].filter(([agent]) => this.#sightings.of(agent) === undefined);
    return [...seen, ...doubtful.map(([agent, publishedAtMs]) => this.#doubtfulView(agent, publishedAtMs))];
  }

  /** Reads again, a few times, while documents of agents that are new to us will soon be there or whole. */
  async #readNow(): Promise<readonly AgentView[]> {
    const begunAtMs = this.#clock.monotonic();
    for (let attempt = 1; ; attempt++) {
      const readAtMs = this.#clock.monotonic();
      const records = await this.#transport.readStates();
      this.#see(records, readAtMs);
      const isWriting = attempt < WHOLE_ATTEMPTS && records.some((record) => this.#isUnfinished(record));
      const mayWait = this.#clock.monotonic() - begunAtMs < REPLACED_WITHIN_MS;
      const isReplaced = mayWait && records.some((record) => this.#isReplacedSoon(record));
      if (!isWriting && !isReplaced) break;
      await this.#clock.sleep(isWriting ? WHOLE_PAUSE_MS : REPLACED_PAUSE_MS);
    }
    const views = this.lastKnown().toSorted((a, b) => this.#compare(a.agent, b.agent));
    this.#last = { views, atMs: this.#clock.monotonic() };
    return views;
  }

  #see(records: readonly StateRecord[], readAtMs: number): void {
    const present = new Set(records.map(({ agent }) => agent));
    this.#sightings.keepOnly(present);
    this.#states.keepOnly(present);
    const doubtful = new Map<string, number>();
    for (const record of records) {
      const verified = this.#states.verify(record);
      if (verified !== null) this.#sightings.see(verified, readAtMs);
      else if (this.#states.isListed(record)) doubtful.set(record.agent, signOfLifeMs(record));
    }
    this.#states.reportLate(readAtMs);
    this.#doubtful = doubtful;
  }

  /** A legacy service that is new to us is writing its document. */
  #isUnfinished({ agent, content, publishedAtMs }: StateRecord): boolean {
    if (agent !== LEGACY_SERVICE_AGENT || this.#sightings.of(agent) !== undefined || !("text" in content)) return false;
    return this.#isFresh(agent, publishedAtMs) && parseState(agent, content.text) === undefined;
  }

  /** Somebody has put something in place of the document of an agent that is new to us. One with another key may be right. */
  #isReplacedSoon({ agent, publishedAtMs }: StateRecord): boolean {
    if (!this.#doubtful.has(agent) || this.#sightings.of(agent) !== undefined) return false;
    const key = this.#agents.key(agent);
    return key?.id != null && key.trouble?.kind !== "conflict" && this.#isFresh(agent, publishedAtMs);
  }

  #isFresh(agent: string, publishedAtMs: number): boolean {
    return this.#transport.now(agent) - publishedAtMs < LIMITS.silentMs;
  }

  #doubtfulView(agent: string, publishedAtMs: number): AgentView {
    const silentMs = Math.max(0, this.#transport.now(agent) - publishedAtMs);
    const sighting = { agent, document: NO_DOCUMENT, publishedAtMs, silentMs, isLive: false };
    return viewOf(sighting, this.#agents.key(agent));
  }
}
