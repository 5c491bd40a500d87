// GET /v1/audit: who changed what.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { CourierError } from "../../base/errors.ts";
import { AuditDocument } from "../../documents/audit.ts";
import { AgentName, Code, Verb } from "../../protocol.ts";
import { type Caller, describeCaller } from "../access/caller.ts";
import { linkTo } from "../fleet/lists/page_text.ts";
import { respond } from "../fleet/lists/rendered.ts";
import { callerOf, type Env } from "../http/env.ts";
import type { WholeServices } from "../services.ts";
import { EXAMPLES } from "../v1/schema/examples.ts";
import { conditional, kept } from "../v1/schema/list_schemas.ts";
import { failures } from "../v1/schema/problems.ts";
import { queryOf, security } from "../v1/schema/schemas.ts";
import { readAudit } from "./read_audit.ts";

const instant = z.iso.datetime({ offset: true }).optional();

const Query = queryOf({
  limit: z.coerce.number<string>().int().min(1).max(1_000).default(100).meta({ description: "Entries of a page" }),
  after: z.coerce.number<string>().int().min(1).optional().meta({ description: "`next` of the page before" }),
  since: instant.meta({ description: "Only entries from this moment on" }),
  until: instant.meta({ description: "Only entries before this moment" }),
  who: z.string().max(200).optional(),
  agent: AgentName.optional(),
  verb: Verb.optional(),
  outcome: z.enum(["ok", ...Code.options]).optional(),
});

const listEntries = createRoute({
  method: "get",
  path: "/v1/audit",
  operationId: "listAudit",
  tags: ["audit"],
  summary: "List who changed what",
  description:
    "Changing commands, and changing requests that sent none, for 90 days, the newest first. Needs the role `gp`, without limits.",
  security,
  request: { query: Query },
  parameters: conditional,
  responses: {
    ...kept("One page of the audit", AuditDocument, { entries: [EXAMPLES.auditEntry] }),
    ...failures(),
  },
});

export function addAuditRoutes(app: OpenAPIHono<Env>, { audit, lists }: Pick<WholeServices, "audit" | "lists">): void {
  app.openapi(listEntries, (context) => {
    requireAuditor(callerOf(context));
    const { limit, after, since, until, ...filter } = context.req.valid("query");
    const period = { sinceMs: msOf(since), untilMs: msOf(until) };
    const document = readAudit(audit, { ...filter, ...period }, { limit, before: after });
    const next = linkTo(context, document.next ?? null);
    const rendered = lists.get(context.req.url, undefined, () => ({ text: JSON.stringify(document), next }));
    return respond<AuditDocument>(context, rendered);
  });
}

/** The audit shows all agents, and who else has access. */
function requireAuditor(caller: Caller): void {
  const { role, agents } = caller;
  if (role === "gp" && agents === null) return;
  throw new CourierError("forbidden", `${describeCaller(caller)} may not read the audit`, {
    hint: "Use a token of the role gp without limits",
  });
}

function msOf(instantText: string | undefined): number | undefined {
  return instantText === undefined ? undefined : Date.parse(instantText);
}
