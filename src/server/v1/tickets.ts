// /v1/tickets: what opens event streams in a browser, whose EventSource can send no header.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { isoTime } from "../../base/clock.ts";
import { Instant } from "../../documents/named.ts";
import { callerOf, type Env } from "../http/env.ts";
import { failWith } from "../http/problem.ts";
import type { ServicesOf } from "../services.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { json, security } from "./schema/schemas.ts";

const Ticket = z
  .object({
    ticket: z.string().meta({ description: "For `?ticket=`" }),
    expires_at: Instant.meta({ description: "10 minutes from now: a stream that is open then goes on" }),
  })
  .meta({ id: "Ticket" });

const EXAMPLE = {
  ticket: "gpuc_ticket_Zr0mT3q9x1cV5bN7hJ2kL4pS6dF8gA0wE_yU-iOQnMl",
  expires_at: "2026-11-28T03:47:13.995Z",
};

const createTicket = createRoute({
  method: "post",
  path: "/v1/tickets",
  operationId: "createTicket",
  tags: ["events"],
  summary: "Get a ticket that opens event streams without a header",
  description: `For the EventSource of a browser, which can send no token: \`/v1/events?ticket=…\` and \`/v1/jobs/{id}/events?ticket=…\`, as
often as needed until it expires. It permits nothing else, shows what its token shows, and ends with it. gpu-server forgets all
tickets when it restarts: get another one after a 401. A caller has at most 100: a further one ends the oldest.`,
  security,
  request: { query: QUERY.none },
  responses: { 201: json("The ticket", Ticket, EXAMPLE), ...failures() },
});

export function addTicketRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(createTicket, (context) => {
    const { tickets } = servicesOf(context);
    const issued = tickets.issue(callerOf(context), context.get("authorization") ?? "");
    if (issued === undefined) throw failWith(429, "Too many tickets are valid", "Send a token, or poll /v1/jobs");
    return context.json({ ticket: issued.ticket, expires_at: isoTime(issued.expiresAtMs) }, 201);
  });
}
