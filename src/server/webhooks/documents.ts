// What receivers of webhooks get, and the log of deliveries as /v1 serves it and `gpu-server webhooks --json` prints it.
import { z } from "zod";
import { AgentDocument } from "../../documents/agents.ts";
import { JobDocument } from "../../documents/jobs.ts";
import { Bytes as Count, Instant } from "../../documents/named.ts";
import { nextPage } from "../../documents/unavailable.ts";

const timestamp = Instant.meta({ description: "When it happened, as far as gpu-server knows" });

/** The fields that the standard names. The list of types grows: a receiver must skip one that it does not know. */
export const WebhookEvent = z
  .discriminatedUnion("type", [
    z.object({ type: z.literal("job.ended"), timestamp, data: JobDocument }).meta({ id: "JobEnded" }),
    z.object({ type: z.literal("agent.away"), timestamp, data: AgentDocument }).meta({ id: "AgentAway" }),
    z.object({ type: z.literal("agent.back"), timestamp, data: AgentDocument }).meta({ id: "AgentBack" }),
    z.object({ type: z.literal("agent.degraded"), timestamp, data: AgentDocument }).meta({ id: "AgentDegraded" }),
    z
      .object({ type: z.literal("webhook.test"), timestamp, data: z.object({ message: z.string() }) })
      .meta({ id: "WebhookTest" }),
  ])
  .meta({
    id: "WebhookEvent",
    description:
      "What gpu-server posts to a `--webhook`, by its `type`. There may be more types in later releases: skip those.",
  });
export type WebhookEvent = z.infer<typeof WebhookEvent>;

export const DeliveryState = z.enum(["pending", "sending", "delivered", "failed", "dropped"]).meta({
  id: "DeliveryState",
  description:
    "`pending` and `sending` are active. `failed`: given up after 24 h, or the receiver wants no more. `dropped`: too many were pending.",
});
export type DeliveryState = z.infer<typeof DeliveryState>;

const target = z.string().meta({ description: "Made from the URL, which may hold a secret: it is shown nowhere" });
const address = z.string().meta({ description: "The URL without path and query" });

export const DeliveryDocument = z
  .object({
    number: z.int().meta({ description: "Only goes up" }),
    id: z.string().meta({ description: "Of the event: the header `webhook-id`, the same in each attempt" }),
    type: z.string(),
    subject: z.string().meta({ description: "The job or agent that it is about: its events arrive in order" }),
    target,
    address,
    state: DeliveryState,
    attempts: Count,
    created_at: Instant,
    last_attempt_at: Instant.nullable(),
    last_status: z.int().nullable().meta({ description: "Of the receiver's last response; null: it sent none" }),
    error: z.string().nullable().meta({ description: "Why it was not delivered, or not yet" }),
    next_attempt_at: Instant.nullable().meta({ description: "The earliest time; null: there is no next attempt" }),
  })
  .meta({ id: "WebhookDelivery" });
export type DeliveryDocument = z.infer<typeof DeliveryDocument>;

export const TargetDocument = z
  .object({
    target,
    address,
    pending: Count,
    delivered: Count.meta({ description: "Since it was first named" }),
    failed: Count,
    dropped: Count,
    failures: Count.meta({ description: "In a row, up to now" }),
    paused_until: Instant.nullable().meta({ description: "Nothing is sent before; null: it takes events" }),
    gone_at: Instant.nullable().meta({
      description: "When it answered 410: it gets no events until gpu-server starts again",
    }),
  })
  .meta({ id: "WebhookTarget" });
export type TargetDocument = z.infer<typeof TargetDocument>;

export const DeliveriesDocument = z
  .object({
    targets: z.array(TargetDocument).meta({ description: "All that gpu-server was started with" }),
    deliveries: z.array(DeliveryDocument).meta({ description: "The newest first" }),
    next: nextPage,
  })
  .meta({ id: "WebhookDeliveries" });
export type DeliveriesDocument = z.infer<typeof DeliveriesDocument>;
