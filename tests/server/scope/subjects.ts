// What requests are about: an agent, a model and jobs, of the token's own agent and of the hidden one.
import { type Job, newPull } from "#src/protocol.ts";

export const START_MS = Date.parse("2026-01-02T03:04:05.000Z");
/** The id of a job that may be of the last 30 days. */
function jobId(digit: number): string {
  const time = START_MS.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-00000000000${digit}`;
}

/** What a request may be about. After the one fetch into the mirror both are to pull. */
export const OWN = { agent: "gpu-1", model: "own:1b", jobs: [jobId(1)], fetch: jobId(6) } as const;
/** gpu-2's jobs: an active one, one that ended, one that only its own memory has, and one that was refused. */
export const HIDDEN = { agent: "gpu-2", model: "hidden:1b", jobs: [2, 3, 4, 5].map(jobId), fetch: jobId(6) } as const;
export type Subject = typeof OWN | typeof HIDDEN;

export function active(agent: string, digit: number): Job {
  return { ...newPull(jobId(digit), agent, `pulled-by-${agent}:1b`), state: "running" };
}

export function ended(agent: string, digit: number): Job {
  return { ...active(agent, digit), state: "failed", code: "internal", ended_at: new Date(START_MS).toISOString() };
}
