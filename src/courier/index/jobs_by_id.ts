// The published jobs by their ids. An agent may publish a job under the id of another agent's: the first that had it keeps it.
import type { Job } from "../../protocol.ts";

export class JobsById {
  /** One of each agent that has the id, the first one first. */
  readonly #jobs = new Map<string, readonly Job[]>();

  /** @param agent whose it is; undefined: that of the first */
  get(id: string, agent?: string): Job | undefined {
    return this.#jobs.get(id)?.find((job) => agent === undefined || job.agent === agent);
  }

  /** Replaces the jobs of one agent. */
  replace(before: readonly Job[], after: readonly Job[]): void {
    if (before === after) return;
    const ids = new Set(after.map(({ id }) => id));
    for (const job of before) if (!ids.has(job.id)) this.#remove(job);
    for (const job of after) this.#put(job);
  }

  #put(job: Job): void {
    if (job.id === null) return;
    const known = this.#jobs.get(job.id) ?? [];
    if (known.includes(job)) return;
    const isKnown = known.some(({ agent }) => agent === job.agent);
    this.#jobs.set(job.id, isKnown ? known.map((one) => (one.agent === job.agent ? job : one)) : [...known, job]);
  }

  #remove({ id, agent }: Job): void {
    const left = this.#jobs.get(id ?? "")?.filter((job) => job.agent !== agent) ?? [];
    if (left.length > 0) this.#jobs.set(id ?? "", left);
    else this.#jobs.delete(id ?? "");
  }
}
