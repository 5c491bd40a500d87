// The fleet as an index: every agent, model, loaded model and job, kept current by what changes.
import type { Clock } from "../../base/clock.ts";
import type { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { KEPT_MS, signOfLifeMs } from "../../base/sightings.ts";
import { type Job, LIMITS, type Model, parseState } from "../../protocol.ts";
import type { StateRecord } from "../../transport.ts";
import { KnownAgents } from "../../trust/agents/known_agents.ts";
import type { AgentView } from "../agent_view.ts";
import {
  countingDocument,
  type LastDocument,
  NO_DOCUMENT,
  type VerifiedState,
  VerifiedStates,
} from "../verified_states.ts";
import { reuse } from "./agent_items.ts";
import type { FleetList } from "./fleet_list.ts";
import { FleetLists } from "./fleet_lists.ts";
import type { FleetView } from "./indexed_fleet.ts";
import { KnownAgent } from "./known_agent.ts";
import { LastSigns } from "./last_signs.ts";
import { shareAway } from "./share_away.ts";
import { SharedTexts } from "./shared_texts.ts";

export interface FleetIndexDeps {
  readonly clock: Pick<Clock, "monotonic">;
  readonly transport: { now(agent?: string): number };
  readonly log: Pick<Log, "warn">;
  /** Whose documents count. */
  readonly agents?: KnownAgents;
  /** Agents that it lists; by default as many as a share has. */
  readonly mostAgents?: number;
}

/** Receives what changes, right after the index has it. */
export interface FleetListener {
  changed?(view: AgentView): void;
  removed?(agent: string): void;
  /** Everything that had changed by now was reported. */
  settled?(): void;
}

export class FleetIndex implements FleetView {
  readonly #deps: FleetIndexDeps;
  readonly #agents: KnownAgents;
  readonly #mostAgents: number;
  /** One for all agents. */
  readonly #nowMs = (): number => this.#deps.clock.monotonic();
  readonly #states: VerifiedStates;
  readonly #known = new Map<string, KnownAgent>();
  readonly #lists = new FleetLists();
  readonly agents = this.#lists.agents;
  readonly models = this.#lists.models;
  readonly running = this.#lists.running;
  readonly jobs = this.#lists.jobs;
  readonly #signs = new LastSigns();
  readonly #texts = new SharedTexts();
  /** Agents whose part of the transport cannot be read, and whether they were alive before. */
  readonly #away = new Map<string, boolean>();
  readonly #listeners = new Set<FleetListener>();
  /** When the last look at everything began, on the monotonic clock. */
  #syncedAtMs = Number.NEGATIVE_INFINITY;
  #failure: CourierError | undefined;
  #isComplete = false;
  #hasWarned = false;
  /** Of the decisions on keys that the views show. */
  #revision = 0;

  constructor(deps: FleetIndexDeps) {
    this.#deps = deps;
    this.#mostAgents = deps.mostAgents ?? LIMITS.states;
    this.#agents = deps.agents ?? new KnownAgents();
    this.#states = new VerifiedStates(this.#agents);
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  get failure(): CourierError | undefined {
    return this.#failure;
  }

  holdsAll({ cut, present }: FleetList<unknown>): boolean {
    return this.#isComplete && this.#failure === undefined && cut.size === 0 && present > 0;
  }

  view(agent: string): AgentView | undefined {
    return this.#known.get(agent)?.view;
  }

  job(id: string, agent?: string): Job | undefined {
    return this.#lists.job(id, agent);
  }

  /** The transport's clock minus that of the agent's machine. */
  clockOffsetMs(agent: string): number {
    return this.#known.get(agent)?.clockOffsetMs ?? 0;
  }

  /** @returns what ends it */
  listen(listener: FleetListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  changed(record: StateRecord): void {
    const verified = this.#states.verify(record);
    if (verified === null) this.#doubt(record);
    else this.#see(verified);
  }

  /** As `changed`, for a record from another reading: one that is older than the known one is nothing new. */
  refreshed(record: StateRecord): void {
    const verified = this.#states.verify(record);
    if (verified === null) return this.#doubt(record);
    const known = this.#known.get(record.agent);
    const isOlder = known !== undefined && verified.publishedAtMs < known.publishedAtMs;
    if (verified.isSigned || !isOlder) this.#see(verified);
  }

  /** The last document that counts stays. Without one, the agent is listed as one whose document does not count. */
  #doubt(record: StateRecord): void {
    const known = this.#known.get(record.agent);
    if (known !== undefined) return this.#judge(known);
    if (!this.#states.isListed(record)) return;
    this.#add(record, "", NO_DOCUMENT);
    this.#judge(this.#known.get(record.agent));
  }

  #see(record: VerifiedState): void {
    if (!("text" in record.content)) return;
    const { text } = record.content;
    const known = this.#known.get(record.agent);
    if (known === undefined) return this.#meet(record, text);
    const news = known.compare(text);
    if (news === "none") return this.#judge(known);
    const document =
      news === "document" ? parseState(known.agent, text, countingDocument(known.document)) : known.document;
    if (document === undefined) return;
    if (news === "document" && document.state !== null) this.#texts.share(document.state);
    if (news === "document") known.replace(withKnownItems(known.document, document));
    this.#sawAlive(known, record.publishedAtMs, record.isSigned);
  }

  alive(agent: string): void {
    const known = this.#known.get(agent);
    // A heartbeat can only keep alive what a document called running.
    if (known === undefined) return;
    const nowMs = this.#deps.transport.now(agent);
    const isCounted = this.#failure === undefined && !this.#away.has(agent) && this.#signs.has(agent);
    if (!isCounted) return this.#sawAlive(known, nowMs, false);
    // Thousands a second come from a large fleet, and of an agent that is alive they change nothing but the time.
    known.publishedAtMs = nowMs;
    known.changedAtMs = this.#nowMs();
    // Not the text of this heartbeat: the list of signs would hold it and its subject for 20 s.
    this.#signs.record(known.agent, known.changedAtMs);
  }

  removed(agent: string): void {
    this.#states.forget(agent);
    if (!this.#known.delete(agent)) return;
    this.#signs.forget(agent);
    this.#away.delete(agent);
    this.#lists.remove(agent);
    for (const listener of this.#listeners) listener.removed?.(agent);
  }

  synced(asOfMs: number): void {
    this.#syncedAtMs = asOfMs;
    this.#isComplete = true;
    this.#states.looked();
    if (this.#failure !== undefined) this.#recover();
    if (this.#revision !== this.#agents.revision) for (const known of this.#known.values()) this.#judge(known);
    this.#revision = this.#agents.revision;
    for (const agent of this.#states.reportLate(asOfMs)) this.#judge(this.#known.get(agent));
    for (const agent of this.#signs.takeUntil(asOfMs - LIMITS.silentMs)) this.#judge(this.#known.get(agent));
    for (const listener of this.#listeners) listener.settled?.();
  }

  interrupted(error: Error): void {
    this.#failure = shareAway(error);
    for (const known of this.#known.values()) this.#judge(known);
    for (const listener of this.#listeners) listener.settled?.();
  }

  /** The part of the transport where this agent is cannot be read now, or can be again: then it has the whole time again. */
  away(agent: string, isAway: boolean): void {
    const wasLive = this.#away.get(agent);
    if (!this.#known.has(agent) || isAway === (wasLive !== undefined)) return;
    if (isAway) this.#away.set(agent, this.#signs.has(agent));
    else this.#away.delete(agent);
    if (wasLive === true) this.#signs.record(agent, this.#deps.clock.monotonic());
    this.#judge(this.#known.get(agent));
  }

  /** Agents could not publish either while the transport was away: who was alive before has the whole time again. */
  #recover(): void {
    this.#failure = undefined;
    this.#signs.renewAll(this.#syncedAtMs);
    for (const known of this.#known.values()) this.#judge(known);
  }

  #meet(record: VerifiedState, text: string): void {
    const document = parseState(record.agent, text);
    if (document === undefined) return;
    if (document.state !== null) this.#texts.share(document.state);
    const known = this.#add(record, text, document);
    if (known !== undefined) this.#sawAlive(known, signOfLifeMs(record), record.isSigned);
  }

  /** @returns undefined when there are too many */
  #add(record: StateRecord, text: string, document: LastDocument): KnownAgent | undefined {
    if (this.#known.size >= this.#mostAgents) {
      this.#warnOnce();
      return undefined;
    }
    const known = new KnownAgent(record, text, document, this.#nowMs);
    this.#known.set(record.agent, known);
    return known;
  }

  #warnOnce(): void {
    if (!this.#hasWarned) this.#deps.log.warn({ most: this.#mostAgents }, "Too many agents: some are not listed");
    this.#hasWarned = true;
  }

  /**
   * The first document is judged by its age; a later one was certainly published after the last look began. Not so a signed one
   * of over a day after a silence: somebody kept it. Others count, as the transport's clock may jump.
   */
  #sawAlive(known: KnownAgent, publishedAtMs: number, isSigned: boolean): void {
    const { clock, transport } = this.#deps;
    const ageMs = Math.max(0, transport.now(known.agent) - publishedAtMs);
    const isLater = known.hasCounted && !(isSigned && ageMs > KEPT_MS && !this.#signs.has(known.agent));
    const earliestMs = isLater ? this.#syncedAtMs : Number.NEGATIVE_INFINITY;
    known.hasCounted = true;
    known.publishedAtMs = publishedAtMs;
    known.changedAtMs = Math.max(clock.monotonic() - ageMs, earliestMs);
    if (known.silentMs < LIMITS.silentMs) this.#signs.record(known.agent, known.changedAtMs);
    this.#judge(known);
  }

  #judge(known: KnownAgent | undefined): void {
    if (known === undefined) return;
    const { agent } = known;
    const isStale = this.#failure !== undefined || this.#away.has(agent);
    const condition = { isLive: this.#signs.has(agent), isStale, key: this.#agents.key(agent) };
    if (!known.judge(condition) && known.isListed) return;
    known.isListed = true;
    this.#lists.show(known.view);
    // While the transport is away nobody reads the lists, and afterwards most of them are as before.
    if (this.#failure === undefined && known.mayContributeOthers())
      this.#lists.contribute(known.view, known.clockOffsetMs);
    for (const listener of this.#listeners) listener.changed?.(known.view);
  }
}

/** The new document with the models and jobs of the old one where they are equal, so that only others count as changed. */
function withKnownItems(before: LastDocument, after: LastDocument): LastDocument {
  if (before.state === null || after.state === null) return after;
  const models = after.state.models && reuse<Model>(before.state.models ?? [], after.state.models, ({ name }) => name);
  const jobs = reuse<Job>(before.state.jobs, after.state.jobs, ({ id }) => id ?? "");
  return { state: { ...after.state, models: models && [...models], jobs: [...jobs] }, legacyState: null };
}
