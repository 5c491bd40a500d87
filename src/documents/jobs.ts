// The documents about jobs that `/v1` serves and `gpuctl --json` prints.
import { z } from "zod";
import type { CourierError } from "../base/errors.ts";
import type { Unavailable } from "../courier/unavailable.ts";
import { Job, newPull } from "../protocol.ts";
import { nextPage } from "./next_page.ts";
import { unavailableAgents, unavailableField } from "./unavailable.ts";

export const JobDocument = Job.extend({
  created_at: z.string().nullable().optional(),
  requested_by: z.string().nullable().optional(),
}).meta({
  id: "Job",
  description:
    "A long-running operation on one agent. Bytes, bytes per second, seconds; times in ISO 8601; " +
    "null: unknown or not yet.",
});

export const JobsDocument = z
  .object({ jobs: z.array(JobDocument), unavailable: unavailableAgents, next: nextPage })
  .meta({ id: "Jobs" });
export type JobsDocument = z.infer<typeof JobsDocument>;

interface ListedJobs {
  readonly jobs: readonly Job[];
  readonly unavailable?: readonly Unavailable[];
}

export function jobsDocument({ jobs, unavailable = [] }: ListedJobs): JobsDocument {
  return { jobs: [...jobs], ...unavailableField(unavailable) };
}

/**
 * A pull that an agent refused, or that never reached it, shown as a failed job.
 * @param id a unique id for the refusal
 * @param endedAt ISO 8601
 */
export function refusedJob(agent: string, model: string, error: CourierError, id: string, endedAt: string): Job {
  const state = error.code === "cancelled" ? "cancelled" : "failed";
  return { ...newPull(id, agent, model), state, ended_at: endedAt, code: error.code, error: error.message };
}
