// The job news of some agents.
import type { Job } from "../../protocol.ts";
import type { JobFeed, JobNews, Start } from "../fleet/job_feed.ts";

/** The numbers of the ends count those of all agents, so that a listener continues where it was, whatever its scope. */
export class ScopedFeed {
  readonly #feed: JobFeed;
  readonly #agents: ReadonlySet<string>;
  /** Listeners that get the same of the whole feed get the same object here too: its events are written once. */
  readonly #filtered = new WeakMap<JobNews, JobNews>();

  constructor(feed: JobFeed, agents: ReadonlySet<string>) {
    this.#feed = feed;
    this.#agents = agents;
  }

  addEnds(jobs: readonly Job[]): void {
    this.#feed.addEnds(jobs.filter(({ agent }) => this.#agents.has(agent)));
  }

  eventId(number: number): string {
    return this.#feed.eventId(number);
  }

  startAfter(eventId: string | undefined): Start {
    return this.#feed.startAfter(eventId);
  }

  async *listen(after: number | undefined, signal: AbortSignal, hasFigures = false): AsyncGenerator<JobNews> {
    for await (const news of this.#feed.listen(after, signal, hasFigures)) yield this.#only(news);
  }

  async *listenToJob(job: Job, start: Start, signal: AbortSignal): AsyncGenerator<JobNews> {
    for await (const news of this.#feed.listenToJob(job, start, signal)) yield this.#only(news);
  }

  async endOf(job: Job, start: Start): Promise<JobNews | undefined> {
    return await this.#feed.endOf(job, start);
  }

  #only(news: JobNews): JobNews {
    const known = this.#filtered.get(news);
    if (known !== undefined) return known;
    const filtered = {
      agents: news.agents.filter(({ agent }) => this.#agents.has(agent)),
      progress: news.progress.filter(({ agent }) => this.#agents.has(agent)),
      models: news.models.filter((agent) => this.#agents.has(agent)),
      removed: news.removed.filter((agent) => this.#agents.has(agent)),
      ended: news.ended.filter(({ job }) => this.#agents.has(job.agent)),
      number: news.number,
    };
    this.#filtered.set(news, filtered);
    return filtered;
  }
}
