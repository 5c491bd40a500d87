// The routes of the GPU service, as /openapi.json describes them. /v1 has all of it, so they are deprecated.
import { z } from "@hono/zod-openapi";
import { Instant } from "../../documents/named.ts";
import { COMMON, EXAMPLE, failuresAs, json, PlatformModel, QUERY } from "./described_parts.ts";

const OLD = { ...COMMON, deprecated: true };

const Succeeded = z.object({ success: z.literal(true), message: z.string() }).meta({ id: "Succeeded" });
const Models = z.object({ success: z.literal(true), models: z.array(PlatformModel) }).meta({ id: "ServiceModels" });
const Health = z
  .object({ status: z.literal("healthy"), ollama_available: z.boolean(), timestamp: Instant })
  .meta({ id: "Health" });
const Failed = z
  .object({ success: z.literal(false), error: z.string() })
  .meta({ id: "Failed", description: "Why the request failed." });
const Unhealthy = Failed.extend({
  status: z.literal("unhealthy"),
  ollama_available: z.literal(false),
  timestamp: Instant,
}).meta({ id: "Unhealthy" });
const Name = z.object({
  name: z.string().meta({ description: "The model's name, plain or percent-encoded", example: EXAMPLE.model.name }),
});

const FAILURE = { success: false, error: EXAMPLE.failure } as const;
const FAILURES = failuresAs(Failed, FAILURE);
const UNHEALTHY = { ...FAILURE, status: "unhealthy", ollama_available: false, timestamp: EXAMPLE.time } as const;

function done(message: string) {
  return { 200: json("It was done", Succeeded, { success: true, message }), ...FAILURES };
}

export const GPU_SERVICE_ROUTES = [
  {
    ...OLD,
    method: "get",
    path: "/api/health",
    operationId: "getServiceHealth",
    summary: "Whether an agent reaches its Ollama",
    description: "Use `GET /v1/agents`.",
    responses: {
      ...FAILURES,
      200: json("An agent is online", Health, { status: "healthy", ollama_available: true, timestamp: EXAMPLE.time }),
      500: json("An unexpected failure", Unhealthy, UNHEALTHY),
      503: json("No agent is online", Unhealthy, UNHEALTHY),
    },
  },
  {
    ...OLD,
    method: "get",
    path: "/api/models",
    operationId: "listServiceModels",
    summary: "List the installed models",
    description: "Use `GET /v1/models`.",
    request: { query: QUERY.list },
    responses: { 200: json("The models", Models, { success: true, models: [EXAMPLE.model] }), ...FAILURES },
  },
  {
    ...OLD,
    method: "post",
    path: "/api/models/{name}",
    operationId: "pullServiceModel",
    summary: "Pull a model by its path",
    description: "Use `POST /v1/jobs`.",
    request: { params: Name, query: QUERY.change },
    responses: done(EXAMPLE.pulling),
  },
  {
    ...OLD,
    method: "delete",
    path: "/api/models/{name}",
    operationId: "deleteServiceModel",
    summary: "Delete a model by its path",
    description: "Use `DELETE /v1/agents/{agent}/models/{model}`.",
    request: { params: Name, query: QUERY.change },
    responses: done(EXAMPLE.deleted),
  },
] as const;
