// /openapi.json as a whole: what it is about, how callers show who they are, and the routes that need no token.
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Env } from "../../http/env.ts";
import { EventSchema } from "./event_schema.ts";
import { failureOf } from "./problems.ts";
import { json } from "./schemas.ts";

const ABOUT = `Lists, pulls and deletes Ollama models on GPU machines that only a shared folder reaches.

- Failures under \`/v1\` are problem documents (RFC 9457): act on \`code\`, show \`detail\` and \`hint\`.
- Lists come in pages: \`next\`, and the header \`Link\`, lead to the next one. Lists and agents have an \`ETag\`.
- A pull is a job. Follow it with \`GET /v1/jobs/{id}?wait=30\`, or with \`/v1/events\`. A second pull of a model joins the first.
- Under \`/v1\`, unknown query parameters and unknown fields of a body are refused.`;

const TAGS = [
  { name: "agents", description: "One agent on each GPU machine" },
  { name: "models", description: "Installed and loaded models" },
  { name: "jobs", description: "Pulls" },
  { name: "mirror", description: "Models on the share, from where the boxes pull them" },
  { name: "events", description: "What agents and jobs do, as server-sent events" },
  { name: "session", description: "Signing in with a browser" },
  { name: "tokens", description: "Who has access" },
  { name: "audit", description: "Who changed what" },
  { name: "webhooks", description: "Events that gpu-server sends to other servers, as Standard Webhooks has them" },
  { name: "platform", description: "The routes of the platform's page and of its GPU service" },
  { name: "service", description: "About gpu-server itself" },
];

const BEARER = {
  type: "http",
  scheme: "bearer",
  description:
    "A token that `gpu-server token add` printed, or one of the platform's login. The role `viewer` may only read under `/v1`.",
} as const;

const OPEN = { method: "get" as const, tags: ["service"], security: [] };
const status = (text: "ok" | "ready") => z.object({ status: z.literal(text) });

const OPEN_ROUTES = [
  {
    ...OPEN,
    path: "/healthz",
    operationId: "getHealth",
    summary: "Whether the process is alive",
    responses: { 200: json("It is alive", status("ok"), { status: "ok" }), 400: failureOf(400) },
  },
  {
    ...OPEN,
    path: "/readyz",
    operationId: "getReadiness",
    summary: "Whether the share can be read",
    description: "With a token that sees all agents, a failure has its reason.",
    responses: {
      200: json("It can be read", status("ready"), { status: "ready" }),
      400: failureOf(400),
      503: failureOf(503),
    },
  },
  {
    ...OPEN,
    path: "/openapi.json",
    operationId: "getOpenApi",
    summary: "Show this document",
    responses: {
      200: json("An OpenAPI 3.1 document", z.looseObject({ openapi: z.string() }), { openapi: "3.1.0" }),
      400: failureOf(400),
    },
  },
];

export function describeServer(registry: OpenAPIHono<Env>["openAPIRegistry"]): void {
  registry.registerComponent("securitySchemes", "bearer", BEARER);
  registry.register("Event", EventSchema);
  for (const route of OPEN_ROUTES) registry.registerPath(route);
}

/** @param license of the package, as SPDX names it */
export function aboutServer(version: string, license: string) {
  const identifier = license === "UNLICENSED" ? "LicenseRef-UNLICENSED" : license;
  return {
    openapi: "3.1.0",
    info: { title: "gpu-courier", version, description: ABOUT, license: { name: license, identifier } },
    // Relative to this document: a proxy may serve all of it under a path of its own.
    servers: [{ url: ".", description: "The server that this document is from" }],
    tags: TAGS,
  };
}
