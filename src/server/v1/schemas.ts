// Schemas of the requests to /v1, and the parts that their descriptions in /openapi.json share.
import { z } from "@hono/zod-openapi";
import { AgentName, Code, CommandId, JobState } from "../../protocol.ts";

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

const agentQuery = z.object({ agent: AgentName.optional() });
/** `fresh` asks the agents instead of reading their published states. */
const fresh = z.enum(["true", "false"]).optional();
const paging = {
  limit: z.coerce.number<string>().int().min(1).max(10_000).default(1_000).meta({ description: "Entries of a page" }),
  after: z.string().max(4_096).optional().meta({ description: "`next` of the page before" }),
};
const PATTERN_CHARACTERS = 200;
const name = z
  .string()
  .max(PATTERN_CHARACTERS)
  .optional()
  .meta({ description: "Only names that match: `*` is any text, `?` any character" });

function sort<const Names extends readonly [string, ...string[]]>(names: Names) {
  return z.enum(names).default(names[0]).meta({ description: "The order; `-` counts downwards" });
}

export const QUERY = {
  agents: z.object({
    ...paging,
    name,
    status: z.enum(["online", "offline"]).optional(),
    label: z
      .string()
      .max(PATTERN_CHARACTERS)
      .optional()
      .meta({ description: "Only agents with this label: `KEY=VALUE`, or `KEY` for any value" }),
    sort: sort(["name", "-name"]),
  }),
  models: agentQuery.extend({
    ...paging,
    fresh,
    name,
    sort: sort(["-modified_at", "modified_at", "name", "-name", "size", "-size"]),
  }),
  agentModels: z.object({ fresh }),
  jobs: agentQuery.extend({
    ...paging,
    state: JobState.optional(),
    sort: sort(["agent", "created_at", "-created_at"]),
  }),
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
  default: {
    description: "A problem document (RFC 9457): act on its `code`",
    content: { "application/problem+json": { schema: Problem } },
  },
};

/** One JSON body in a route's description. */
export function json<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { "application/json": { schema } } };
}
