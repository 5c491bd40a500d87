// Counts the ends of jobs, from the log that has each end once.
import type { FleetIndex } from "../../courier/index/fleet_index.ts";
import { labelsOf, type MetricsText } from "../../program/metrics/text.ts";
import type { EndedJobs } from "../store/ended_jobs.ts";

export interface EndedCountsDeps {
  readonly ended: Pick<EndedJobs, "last" | "after">;
  readonly index: Pick<FleetIndex, "view" | "listen">;
}

const AT_ONCE = 500;
/** There from the beginning: a counter that appears with its first event has not increased. */
const FIRST = [
  { result: "succeeded", code: "" },
  { result: "failed", code: "internal" },
  { result: "cancelled", code: "cancelled" },
].map(labelsOf);

export class EndedCounts {
  readonly #deps: EndedCountsDeps;
  /** Of the last end that was counted. */
  #number: number;
  /** By agent, then by labels. */
  readonly #counts = new Map<string, Map<string, number>>();

  constructor(deps: EndedCountsDeps) {
    this.#deps = deps;
    this.#number = deps.ended.last;
    deps.index.listen({ removed: (agent) => void this.#counts.delete(agent) });
  }

  writeTo(text: MetricsText, agents: Iterable<string>): void {
    this.#countNews();
    for (const agent of agents) {
      const counts = this.#counts.get(agent);
      for (const labels of new Set([...FIRST, ...(counts?.keys() ?? [])]))
        text.add("gpu_courier_jobs_ended_total", `agent="${agent}",${labels}`, counts?.get(labels) ?? 0);
    }
  }

  #countNews(): void {
    const { ended, index } = this.#deps;
    for (let isMore = true; isMore; ) {
      const news = ended.after(this.#number, AT_ONCE);
      for (const { job, number } of news) {
        this.#number = number;
        // One that is gone by now has no series.
        if (index.view(job.agent) !== undefined) this.#count(job.agent, { result: job.state, code: job.code ?? "" });
      }
      isMore = news.length === AT_ONCE;
    }
  }

  #count(agent: string, values: { readonly result: string; readonly code: string }): void {
    const counts = this.#counts.get(agent) ?? new Map<string, number>();
    const labels = labelsOf(values);
    this.#counts.set(agent, counts.set(labels, (counts.get(labels) ?? 0) + 1));
  }
}
