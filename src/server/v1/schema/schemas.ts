// Schemas of the requests to /v1, and the parts that their descriptions in /openapi.json share.
import { z } from "@hono/zod-openapi";
import { AgentName, CommandId } from "../../../protocol.ts";
import { only } from "../../http/invalid.ts";

const agent = AgentName.meta({ description: "The agent's name", example: "gpu-1" });

export const PATH = {
  agent: z.object({ agent }),
  /** One percent-encoded segment: `hf.co%2Fuser%2Fmodel%3Atag`. */
  model: z.object({
    agent,
    model: z.string().meta({
      description: "The model's name, percent-encoded: `hf.co%2Fuser%2Fmodel%3Atag`",
      example: "phi4:latest",
    }),
  }),
  job: z.object({
    id: CommandId.meta({ description: "The job's id", example: "019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05" }),
  }),
} as const;

const MOST_AGENTS = 1_000;
const agents = z.union([z.array(AgentName).min(1, "must name at least one agent").max(MOST_AGENTS), z.literal("all")], {
  error: ({ input }) =>
    Array.isArray(input) ? `must name at most ${MOST_AGENTS} agents` : 'must be a list of names, or "all"',
});

export const JobRequest = bodyOf({
  kind: z.literal("pull"),
  model: z.string().min(1),
  agents,
  force: z.boolean().nullish().meta({ description: "Pull even if an agent says that the model does not fit" }),
  now: z.boolean().nullish().meta({ description: "Pull also outside the hours in which an agent may pull" }),
  via: z.literal("mirror").nullish().meta({
    description: "Fetch the model into the mirror first. Not for a token that is limited to some agents",
  }),
}).meta({ id: "JobRequest" });

/** The query of a route under /v1. */
export function queryOf<const Shape extends z.ZodRawShape>(shape: Shape) {
  return only(shape, "query parameter");
}

/** The body of a route under /v1. */
export function bodyOf<const Shape extends z.ZodRawShape>(shape: Shape) {
  return only(shape, "field");
}

/** Every /v1 route needs a token: see `requireToken`. */
export const security: Record<string, string[]>[] = [{ bearer: [] }];

/** One JSON body in a route's description. */
export function json<Schema extends z.ZodType>(description: string, schema: Schema, example: z.input<Schema>) {
  return { description, content: { "application/json": { schema, example } } };
}
