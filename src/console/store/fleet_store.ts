// What the page knows of the fleet: its boxes and jobs, from the lists of the server and every event after them.
import { compareNames, compareTexts } from "../../base/order.ts";
import type { AgentDocument } from "../../documents/agents.ts";
import type { JobDocument } from "../../documents/jobs.ts";
import { isActive } from "./job_facts.ts";
import { Observable } from "./observable.ts";
import { Pace } from "./pace.ts";

/** Whether what is shown is current: `lost` until the stream of events is back. */
export type Contact = "connecting" | "live" | "lost";

/** A large fleet changes all the time: the page is drawn again at most so often. */
const GATHERED_MS = 80;
/** Ended jobs beyond those are forgotten, the oldest first. */
const MOST_ENDED = 2_000;

export class FleetStore extends Observable {
  /** Bytes over time, of every job that was seen running. */
  readonly pace: Pace;
  #agents: ReadonlyMap<string, AgentDocument> = new Map();
  #jobs: ReadonlyMap<string, JobDocument> = new Map();
  #contact: Contact = "connecting";
  #lists = new Map<string, number>();
  #listChanges = 0;
  #readings = 0;
  /** In order: that of a thousand takes longer than all else. */
  #names: readonly string[] | undefined;
  #agentList: readonly AgentDocument[] | undefined;
  #jobList: readonly JobDocument[] | undefined;

  constructor(pace = new Pace()) {
    super(GATHERED_MS);
    this.pace = pace;
  }

  get contact(): Contact {
    return this.#contact;
  }

  set contact(contact: Contact) {
    if (this.#contact === contact) return;
    this.#contact = contact;
    this.notify();
  }

  /** In the order of their names. The same array until something in it changes. */
  get agents(): readonly AgentDocument[] {
    this.#names ??= [...this.#agents.keys()].toSorted(compareNames);
    this.#agentList ??= this.#names.flatMap((name) => this.#agents.get(name) ?? []);
    return this.#agentList;
  }

  /** The newest first. The same array until something in it changes. */
  get jobs(): readonly JobDocument[] {
    this.#jobList ??= [...this.#jobs.values()].toSorted((a, b) => compareTexts(b.id ?? "", a.id ?? ""));
    return this.#jobList;
  }

  agent(name: string): AgentDocument | undefined {
    return this.#agents.get(name);
  }

  job(id: string): JobDocument | undefined {
    return this.#jobs.get(id);
  }

  /** A number that is another one after the models of this box changed; without a name, those of any box. */
  listVersion(agent?: string): number {
    return agent === undefined ? this.#listChanges : (this.#lists.get(agent) ?? 0);
  }

  /** A number that is another one after all was read again because contact was lost. */
  get readings(): number {
    return this.#readings;
  }

  /** Takes the list of all boxes: others are gone. */
  setAgents(agents: readonly AgentDocument[]): void {
    if (this.#contact === "lost") this.#readings += 1;
    const before = this.#agents;
    this.#changeAgents(new Map(agents.map((agent) => [agent.agent, sameOr(before.get(agent.agent), agent)])));
    for (const { agent } of agents) this.#touchLists(agent);
    this.notify();
  }

  putAgent(agent: AgentDocument): void {
    this.#changeAgents(new Map(this.#agents).set(agent.agent, agent));
    this.notify();
  }

  removeAgent(name: string): void {
    const agents = new Map(this.#agents);
    agents.delete(name);
    this.#changeAgents(agents);
    this.#changeJobs([...this.#jobs.values()].filter((job) => job.agent !== name));
    this.notify();
  }

  /** The models of this box changed, or those in its memory. */
  changedLists(agent: string): void {
    this.#touchLists(agent);
    this.notify();
  }

  /** Jobs as they are now. An end is final: news that are older than it change nothing. */
  putJobs(jobs: readonly JobDocument[], nowMs: number): void {
    const all = new Map(this.#jobs);
    for (const job of jobs) {
      const key = keyOf(job);
      const known = all.get(key);
      if (known !== undefined && !isActive(known) && isActive(job)) continue;
      all.set(key, sameOr(known, job));
      this.pace.see(key, job, nowMs);
    }
    this.#changeJobs([...all.values()]);
    this.notify();
  }

  forgetJob(id: string): void {
    this.#changeJobs([...this.#jobs.values()].filter((job) => keyOf(job) !== id));
    this.notify();
  }

  #changeAgents(agents: ReadonlyMap<string, AgentDocument>): void {
    const isSame = agents.size === this.#agents.size && [...agents.keys()].every((name) => this.#agents.has(name));
    if (!isSame) this.#names = undefined;
    this.#agents = agents;
    this.#agentList = undefined;
  }

  #changeJobs(jobs: readonly JobDocument[]): void {
    const ended = jobs.filter((job) => !isActive(job)).toSorted((a, b) => compareTexts(a.id ?? "", b.id ?? ""));
    const dropped = new Set(ended.slice(0, Math.max(0, ended.length - MOST_ENDED)));
    this.#jobs = new Map(jobs.filter((job) => !dropped.has(job)).map((job) => [keyOf(job), job]));
    this.#jobList = undefined;
  }

  #touchLists(agent: string): void {
    this.#listChanges += 1;
    this.#lists.set(agent, this.#listChanges);
  }
}

/** A job of a legacy service has no id: there is one of each model. */
function keyOf({ id, agent, model }: JobDocument): string {
  return id ?? `${agent} ${model}`;
}

/** The known object if the new one is equal, so that only what changed is drawn again. */
function sameOr<Item extends object>(known: Item | undefined, item: Item): Item {
  return known !== undefined && JSON.stringify(known) === JSON.stringify(item) ? known : item;
}
