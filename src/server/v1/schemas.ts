// Schemas of the requests to /v1, and the parts that their descriptions in /openapi.json share.
import { z } from "@hono/zod-openapi";
import { AgentName, Code, CommandId } from "../../protocol.ts";
import { VIEWER_RATE } from "../limits/request_rate.ts";

/** RFC 9457. */
const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: Code,
    hint: z.string().optional(),
  })
  .meta({ id: "Problem", description: "RFC 9457. Act on `code`, show `detail` and `hint`." });

export const PATH = {
  agent: z.object({ agent: AgentName }),
  /** One percent-encoded segment: `hf.co%2Fuser%2Fmodel%3Atag`. */
  model: z.object({ agent: AgentName, model: z.string() }),
  job: z.object({ id: CommandId }),
} as const;

export const JobRequest = z
  .object({
    kind: z.literal("pull"),
    model: z.string().min(1),
    agents: z.union([z.array(AgentName).min(1).max(1_000), z.literal("all")], {
      error: 'must be a list of names, or "all"',
    }),
    force: z.boolean().nullish().meta({ description: "Pull even if an agent says that the model does not fit" }),
  })
  .meta({ id: "JobRequest" });

/** Every /v1 route needs a token: see `requireToken`. */
export const security: Record<string, string[]>[] = [{ bearer: [] }];

/** The response of every /v1 route when it fails. */
export const failures = {
  401: {
    description: "No valid token was sent (`unauthenticated`): an unknown one, or one that was revoked or has expired",
    content: { "application/problem+json": { schema: Problem } },
  },
  403: {
    description:
      "The role of the token, its agents or its verbs do not permit this (`forbidden`), or the agent refuses it",
    content: { "application/problem+json": { schema: Problem } },
  },
  429: {
    description: `Too many at once (\`exhausted\`): a token of the role \`viewer\`, for some agents or without a changing verb may send ${VIEWER_RATE.perSecond} requests a second, and ${VIEWER_RATE.burst} after a pause`,
    headers: { "Retry-After": { schema: { type: "integer" as const }, description: "Seconds" } },
    content: { "application/problem+json": { schema: Problem } },
  },
  default: {
    description: "A problem document (RFC 9457): act on its `code`",
    content: { "application/problem+json": { schema: Problem } },
  },
};

/** One JSON body in a route's description. */
export function json<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}
