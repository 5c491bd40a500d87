// What the page knows of the fleet: its boxes and jobs, from the lists of the server and every event after them.
import { compareTexts, countingKey } from "../../base/order.ts";
import type { AgentDocument } from "../../documents/agents.ts";
import type { JobDocument } from "../../documents/jobs.ts";
import { isActive } from "./job_facts.ts";
import { Observable } from "./observable.ts";
import { Pace } from "./pace.ts";

/** Whether what is shown is current: `lost` until the stream of events is back. */
export type Contact = "connecting" | "live" | "lost";

/** A large fleet changes all the time: the page is drawn again at most so often. */
const GATHERED_MS = 80;
/** Ended jobs beyond those are forgotten, the oldest first, so many at once: to find them takes a look at all. */
const MOST_ENDED = 2_000;
const ENDED_SLACK = 200;

export class FleetStore extends Observable {
  /** Bytes over time, of every job that was seen running. */
  readonly pace: Pace;
  #agents = new Map<string, AgentDocument>();
  #jobs = new Map<string, JobDocument>();
  /** The number of jobs with which the oldest ended ones are forgotten. */
  #mostJobs = MOST_ENDED;
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
    this.#names ??= inOrder([...this.#agents.keys()]);
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
    this.#agents = new Map(agents.map((agent) => [agent.agent, sameOr(before.get(agent.agent), agent)]));
    this.#changedAgents(this.#agents.size !== before.size || agents.some(({ agent }) => !before.has(agent)));
    for (const { agent } of agents) this.#touchLists(agent);
    this.notify();
  }

  putAgent(agent: AgentDocument): void {
    const isNew = !this.#agents.has(agent.agent);
    this.#agents.set(agent.agent, agent);
    this.#changedAgents(isNew);
    this.notify();
  }

  removeAgent(name: string): void {
    this.#agents.delete(name);
    this.#changedAgents(true);
    for (const [key, { agent }] of this.#jobs) if (agent === name) this.#jobs.delete(key);
    this.#jobList = undefined;
    this.notify();
  }

  /** The models of this box changed, or those in its memory. */
  changedLists(agent: string): void {
    this.#touchLists(agent);
    this.notify();
  }

  /** Jobs as they are now. An end is final: news that are older than it change nothing. */
  putJobs(jobs: readonly JobDocument[], nowMs: number): void {
    for (const job of jobs) {
      const key = keyOf(job);
      const known = this.#jobs.get(key);
      if (known !== undefined && !isActive(known) && isActive(job)) continue;
      this.#jobs.set(key, sameOr(known, job));
      this.pace.see(key, job, nowMs);
    }
    if (this.#jobs.size > this.#mostJobs) this.#forgetOldest();
    this.#jobList = undefined;
    this.notify();
  }

  forgetJob(id: string): void {
    this.#jobs.delete(id);
    this.#jobList = undefined;
    this.notify();
  }

  #changedAgents(hasOtherNames: boolean): void {
    if (hasOtherNames) this.#names = undefined;
    this.#agentList = undefined;
  }

  #forgetOldest(): void {
    const ended = [...this.#jobs.values()].filter((job) => !isActive(job));
    const oldest = ended.toSorted((a, b) => compareTexts(a.id ?? "", b.id ?? "")).slice(0, -MOST_ENDED);
    for (const job of oldest) this.#jobs.delete(keyOf(job));
    this.#mostJobs = this.#jobs.size + ENDED_SLACK;
  }

  #touchLists(agent: string): void {
    this.#listChanges += 1;
    this.#lists.set(agent, this.#listChanges);
  }
}

function inOrder(names: readonly string[]): readonly string[] {
  const keyed = names.map((name) => ({ name, key: countingKey(name) }));
  return keyed.toSorted((a, b) => compareTexts(a.key, b.key) || compareTexts(a.name, b.name)).map(({ name }) => name);
}

/** A job of a legacy service has no id: there is one of each model. */
function keyOf({ id, agent, model }: JobDocument): string {
  return id ?? `${agent} ${model}`;
}

/** The known object if the new one is equal, so that only what changed is drawn again. */
function sameOr<Item extends object>(known: Item | undefined, item: Item): Item {
  return known !== undefined && JSON.stringify(known) === JSON.stringify(item) ? known : item;
}
