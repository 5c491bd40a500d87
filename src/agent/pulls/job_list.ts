// Every job that is kept, in the order they were requested; of those that ended, only the last ones.
import { isEnded, type Job, LIMITS } from "../../protocol.ts";

export class JobList<Each extends { readonly job: Job }> {
  #all: Each[] = [];
  /** By when they ended, but not by their times: clocks are set back. */
  #ended: Each[] = [];

  get all(): readonly Each[] {
    return this.#all;
  }

  /** Takes a job at the end of the order. */
  take(job: Each): void {
    this.#all.push(job);
    if (isEnded(job.job)) this.#ended.push(job);
  }

  /** After a restart, only their times show which jobs ended last. */
  sortEnded(): void {
    this.#ended.sort(({ job: a }, { job: b }) => (a.ended_at ?? "").localeCompare(b.ended_at ?? ""));
  }

  /** A job of the list ends, and may make an older one be forgotten. */
  add(job: Each): void {
    this.#ended.push(job);
    const forgotten = new Set(this.#ended.slice(0, -LIMITS.endedJobsKept));
    if (forgotten.size === 0) return;
    this.#ended = this.#ended.slice(-LIMITS.endedJobsKept);
    this.#all = this.#all.filter((each) => !forgotten.has(each));
  }

  lastEnded(count: number): readonly Each[] {
    return this.#ended.slice(-count);
  }
}
