// Every agent on the transport and its condition, from the state documents.
import type { Clock } from "../base/clock.ts";
import { Sightings } from "../base/sightings.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, parseState, type StateDocument } from "../protocol.ts";
import type { StateRecord, Transport } from "../transport.ts";
import { type AgentView, viewOf } from "./agent_view.ts";

const WHOLE_ATTEMPTS = 5;
const WHOLE_PAUSE_MS = 50;

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
  readonly #sightings: Sightings<StateDocument>;
  #reading: Promise<readonly AgentView[]> | undefined;
  #last: { readonly views: readonly AgentView[]; readonly atMs: number } | undefined;

  constructor(transport: Transport, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
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
