// The active jobs among others, in the order in which people look for them.
import type { JobDocument } from "../../documents/jobs.ts";
import { isActive } from "./job_facts.ts";

/** Those that run, then those that wait, the next in turn first. @param jobs the newest first */
export function activeOf(jobs: readonly JobDocument[]): readonly JobDocument[] {
  const active = jobs.filter(isActive);
  const waiting = active.filter(({ state }) => state === "queued");
  return [...active.filter(({ state }) => state !== "queued"), ...waiting.toReversed()];
}
