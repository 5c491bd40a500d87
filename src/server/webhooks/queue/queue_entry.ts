// What servers with the same webhooks share of their queues: where a target began, what became of its events, and changes of agents.
import { z } from "zod";

const target = z.string().regex(/^[0-9a-f]{1,64}$/);
const id = z.string().regex(/^msg_[0-9a-f]{1,64}$/);

export const QueueEntry = z.discriminatedUnion("kind", [
  /** A new target gets the ends after this number of the log. */
  z.object({ kind: z.literal("target"), target, position: z.int().nonnegative(), at_ms: z.int().nonnegative() }),
  z.object({
    kind: z.literal("done"),
    target,
    id,
    state: z.enum(["delivered", "failed", "dropped"]),
    status: z.int().nullable(),
    at_ms: z.int().nonnegative(),
    /** All ends up to this number are done. */
    position: z.int().nonnegative(),
  }),
  z.object({
    kind: z.literal("agent"),
    agent: z.string().max(63),
    condition: z.enum(["online", "away", "degraded"]),
    at_ms: z.int().nonnegative(),
    event: z.object({
      id,
      type: z.enum(["agent.away", "agent.back", "agent.degraded"]),
      subject: z.string().max(200),
      body: z.string().max(900_000),
    }),
  }),
]);
export type QueueEntry = z.infer<typeof QueueEntry>;
