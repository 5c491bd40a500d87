// GET /v1/webhooks/deliveries: the targets of webhooks, and what became of each event.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { CourierError } from "../../base/errors.ts";
import { type Caller, describeCaller } from "../access/caller.ts";
import { linkTo } from "../fleet/lists/page_text.ts";
import { respond } from "../fleet/lists/rendered.ts";
import { callerOf, type Env } from "../http/env.ts";
import type { WholeServices } from "../services.ts";
import { EXAMPLES } from "../v1/schema/examples.ts";
import { conditional, kept } from "../v1/schema/list_schemas.ts";
import { failures } from "../v1/schema/problems.ts";
import { queryOf, security } from "../v1/schema/schemas.ts";
import { DeliveriesDocument, DeliveryState, WebhookEvent } from "./documents.ts";
import { readDeliveries } from "./read_deliveries.ts";

const EXAMPLE: DeliveriesDocument = {
  targets: [
    {
      target: "9f3c1e07a5b2",
      address: "https://platform.example.org",
      pending: 0,
      delivered: 812,
      failed: 0,
      dropped: 0,
      failures: 0,
      paused_until: null,
      gone_at: null,
    },
  ],
  deliveries: [
    {
      number: 812,
      id: "msg_5e1f0c9d2a71b6e8453f0c9d2a71b6e8",
      type: "job.ended",
      subject: "gpu-1/019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05",
      target: "9f3c1e07a5b2",
      address: "https://platform.example.org",
      state: "delivered",
      attempts: 1,
      created_at: "2026-11-28T03:38:15.120Z",
      last_attempt_at: "2026-11-28T03:38:15.231Z",
      last_status: 204,
      error: null,
      next_attempt_at: null,
    },
  ],
};

const EVENT: WebhookEvent = { type: "job.ended", timestamp: "2026-11-28T03:37:20.700Z", data: EXAMPLES.cancelled };

const Query = queryOf({
  limit: z.coerce.number<string>().int().min(1).max(1_000).default(100).meta({ description: "Entries of a page" }),
  after: z.coerce.number<string>().int().min(1).optional().meta({ description: "`next` of the page before" }),
  target: z.string().max(40).optional().meta({ description: "Only to this target" }),
  state: DeliveryState.optional(),
  type: z.string().max(40).optional().meta({ description: "Only events of this type" }),
});

const listDeliveries = createRoute({
  method: "get",
  path: "/v1/webhooks/deliveries",
  operationId: "listWebhookDeliveries",
  tags: ["webhooks"],
  summary: "List what was sent to webhooks",
  description:
    "The targets with their counters, the deliveries that are pending, and for each target the last 1,000 that ended, the newest first. Needs the role `gp`, without limits.",
  security,
  request: { query: Query },
  parameters: conditional,
  responses: {
    ...kept("One page of the deliveries", DeliveriesDocument, EXAMPLE),
    ...failures(),
  },
});

/** Of a receiver, which is no part of this server. */
const RECEIVE_EVENT = {
  method: "post" as const,
  path: "event",
  operationId: "receiveWebhookEvent",
  tags: ["webhooks"],
  summary: "Receive an event at the URL of a --webhook",
  description:
    "As Standard Webhooks has it: verify `webhook-signature` with the secret before anything else, and skip an id that was there before.",
  security: [],
  request: {
    headers: z.object({
      "webhook-id": z.string().meta({ description: "Of the event, the same in each attempt" }),
      "webhook-timestamp": z.string().meta({ description: "Of the attempt, in seconds since 1970" }),
      "webhook-signature": z
        .string()
        .meta({ description: "`v1,` and an HMAC-SHA256 in Base64; several during a rotation" }),
    }),
    body: { required: true, content: { "application/json": { schema: WebhookEvent, example: EVENT } } },
  },
  responses: {
    204: { description: "Any 2xx: it is delivered" },
    410: { description: "Nothing more is sent until gpu-server starts again" },
    503: { description: "Anything else, or nothing within 15 s: it is sent again, not before `Retry-After`, for 24 h" },
  },
};

export function addWebhookRoutes(
  app: OpenAPIHono<Env>,
  { webhooks, lists, clock }: Pick<WholeServices, "webhooks" | "lists" | "clock">,
): void {
  app.openAPIRegistry.registerWebhook(RECEIVE_EVENT);
  app.openapi(listDeliveries, (context) => {
    requireAdministrator(callerOf(context));
    const { limit, after, ...filter } = context.req.valid("query");
    const document = readDeliveries(webhooks.tables, filter, { limit, before: after }, clock.now());
    const next = linkTo(context, document.next ?? null);
    const rendered = lists.get(context.req.url, undefined, () => ({ text: JSON.stringify(document), next }));
    return respond<DeliveriesDocument>(context, rendered);
  });
}

/** Events are about all agents. */
function requireAdministrator(caller: Caller): void {
  const { role, agents } = caller;
  if (role === "gp" && agents === null) return;
  throw new CourierError("forbidden", `${describeCaller(caller)} may not read what was sent to webhooks`, {
    hint: "Use a token of the role gp without limits",
  });
}
