// A job as the ledger keeps it, and what the requests that joined it want together.
import { z } from "zod";
import { Job } from "../../protocol.ts";
import { NotedLayer } from "../ollama/pull_tracker.ts";

/** What everybody sees, and what only the agent needs to continue it. */
export const KeptJob = Job.extend({
  /** Pull even if the disk seems too small. */
  force: z.boolean().default(false),
  /** Pull outside the box's windows too. */
  now: z.boolean().default(false),
  /** When the last command that asked for it was sent, in ms on the transport's clock. */
  asked_at_ms: z.number().nullable().default(null),
  layers: z.array(NotedLayer).default([]),
});
export type KeptJob = z.infer<typeof KeptJob>;

/** What a request for a pull wants. */
export interface Wishes {
  /** Pull even if the disk seems too small. */
  readonly force: boolean;
  /** Pull outside the box's windows too. */
  readonly now: boolean;
  /** When the command that asks was sent, on the transport's clock; null if unknown. */
  readonly askedAtMs: number | null;
}

/** What two requests want together: what either does, and the time of the last. */
export function joined(one: Wishes, other: Wishes): Wishes {
  return {
    force: one.force || other.force,
    now: one.now || other.now,
    askedAtMs: Math.max(one.askedAtMs ?? 0, other.askedAtMs ?? 0) || null,
  };
}

export function isSame(one: Wishes, other: Wishes): boolean {
  return one.force === other.force && one.now === other.now && one.askedAtMs === other.askedAtMs;
}
