// The documents about jobs that `/v1` serves and `gpuctl --json` prints.
import { z } from "zod";
import type { CourierError } from "../base/errors.ts";
import type { Unavailable } from "../courier/unavailable.ts";
import { AgentName, isEnded, Job, newPull, RETRY_NOTE, windowOf } from "../protocol.ts";
import { instantOrNull } from "./instants.ts";
import { FetchDocument } from "./models/mirror.ts";
import { Bytes, ErrorCode, Instant, JobPhase, JobState, orNull } from "./named.ts";
import { problemFields } from "./problem.ts";
import { nextPage, unavailableAgents, unavailableField } from "./unavailable.ts";

export const JobDocument = Job.extend({
  state: JobState,
  completed_bytes: Bytes,
  total_bytes: Bytes.nullable(),
  bytes_per_second: Bytes.nullable(),
  started_at: Instant.nullable(),
  ended_at: Instant.nullable(),
  code: orNull(ErrorCode),
  phase: orNull(JobPhase).optional(),
  partial_bytes: Bytes.nullable().optional(),
  retry_at: Instant.nullable().optional().meta({
    description:
      "While it waits between two attempts, or for its box's window: the start of the next attempt, by the box's clock",
  }),
  created_at: Instant.nullable().optional().meta({ description: "When the agent accepted the request, by its clock" }),
  requested_by: z.string().nullable().optional().meta({ description: "The token or user that asked for it first" }),
}).meta({
  id: "Job",
  description:
    "A long-running operation on one agent. Bytes, bytes per second, seconds; times in ISO 8601; " +
    "null: unknown or not yet.",
});

export type JobDocument = z.infer<typeof JobDocument>;

export const JobsDocument = z
  .object({
    jobs: z.array(JobDocument),
    unavailable: unavailableAgents,
    refusals: z
      .array(z.object({ agent: AgentName, ...problemFields }))
      .meta({ description: "Why agents refused jobs that were just asked for, in full. Missing: none did" })
      .optional(),
    fetch: FetchDocument.meta({
      description: "After which the jobs start that were asked for via the mirror",
    }).optional(),
    next: nextPage,
  })
  .meta({ id: "Jobs" });
export type JobsDocument = z.infer<typeof JobsDocument>;

interface ListedJobs {
  readonly jobs: readonly Job[];
  readonly unavailable?: readonly Unavailable[];
}

export function jobsDocument({ jobs, unavailable = [] }: ListedJobs): JobsDocument {
  return { jobs: jobs.map(jobDocument), ...unavailableField(unavailable) };
}

/** The job itself, unless its agent sends invalid times. */
export function jobDocument(job: Job): JobDocument {
  const { started_at, ended_at, retry_at = null, created_at = null } = job;
  const times = { started_at, ended_at, retry_at, created_at };
  const shown = Object.entries(times).map(([name, time]) => [name, instantOrNull(time)] as const);
  const wrong = shown.filter(([name, time]) => time === null && Reflect.get(times, name) !== null);
  return wrong.length === 0 ? job : { ...job, ...Object.fromEntries(wrong) };
}

/** Whether its last attempt failed: it waits for the next one, or that one has not received anything yet. */
export function isRetrying(job: Job): boolean {
  const { state, bytes_per_second, retry_at = null, waiting_for = null, note = null } = job;
  if (isEnded(job) || state === "verifying" || (bytes_per_second ?? 0) > 0) return false;
  if (windowOf(job) !== null) return false;
  return retry_at !== null || RETRY_NOTE.test(waiting_for ?? note ?? "");
}

/**
 * A pull that an agent refused, or that never reached it, shown as a failed job.
 * @param id a unique id for the refusal
 * @param endedAt ISO 8601
 */
export function refusedJob(agent: string, model: string, error: CourierError, id: string, endedAt: string): Job {
  const state = error.code === "cancelled" ? "cancelled" : "failed";
  return {
    ...newPull(id, agent, model),
    state,
    created_at: endedAt,
    ended_at: endedAt,
    code: error.code,
    error: error.message,
  };
}
