// The parts that the descriptions of the routes under /api share. They serve existing programs: nothing is checked by these.
import { z } from "@hono/zod-openapi";
import { Bytes, Instant } from "../../documents/named.ts";
import { AgentName } from "../../protocol.ts";

/** Of each route. */
export const COMMON = { security: [{ bearer: [] }], tags: ["platform"] };

export const PlatformModel = z
  .object({
    name: z.string(),
    size: Bytes,
    modified_at: Instant,
    digest: z.string(),
    remote_model: z.string().optional(),
    remote_host: z.string().optional(),
  })
  .meta({ id: "PlatformModel", description: "An installed model. Of several with one name, the newest." });

const agent = AgentName.optional().meta({ description: "The agent, where there are several" });

export const QUERY = {
  change: z.object({ agent }),
  list: z.object({
    agent,
    fresh: z.enum(["true", "false"]).optional().meta({ description: "Ask the agents instead of reading their states" }),
  }),
} as const;

export const EXAMPLE = {
  model: {
    name: "phi4:latest",
    size: 9_053_116_391,
    modified_at: "2026-11-20T10:00:00.123456789+01:00",
    digest: "ac896e5b8b34a1f4efa7b14d7520725140d5512484457fab45d2a4ea14c69dba",
  },
  pulling: "Started pulling model phi4:latest on gpu-1",
  deleted: "Deleted model phi4:latest on gpu-1",
  failure: "gpu-1 has been silent for 32 s",
  time: "2026-11-28T03:37:13.995Z",
} as const;

const FAILURES = {
  400: "The request is wrong",
  401: "No valid token was sent",
  403: "The token does not permit this, or the agent refuses it",
  404: "No such agent or model",
  409: "Several agents could be meant: name one with `?agent=`",
  413: "The body is too large",
  415: "The body is not JSON by its `Content-Type`",
  429: "Too many at once",
  500: "An unexpected failure",
  501: "This agent does not support it",
  503: "The share, the agent or its Ollama cannot be reached",
  504: "The agent did not respond in time",
  507: "The agent has no disk space, memory or queue place left",
} as const;

export function json<Schema extends z.ZodType>(description: string, schema: Schema, example: z.input<Schema>) {
  return { description, content: { "application/json": { schema, example } } };
}

function headersOf(status: string) {
  if (status !== "429" && status !== "503") return {};
  return { headers: { "Retry-After": { schema: { type: "integer" as const }, description: "Seconds" } } };
}

/** The failures of a route, each with this document. */
export function failuresAs<Schema extends z.ZodType>(schema: Schema, example: z.input<Schema>) {
  const entries = Object.entries(FAILURES).map(
    ([status, description]) => [status, { ...json(description, schema, example), ...headersOf(status) }] as const,
  );
  return { ...Object.fromEntries(entries), 431: { description: "The address and the headers are too long" } };
}
