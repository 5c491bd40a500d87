// /openapi.json: every route with a name, its failures and an example, and schemas that generators can name.
import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const Operation = z.looseObject({
  operationId: z.string(),
  summary: z.string(),
  tags: z.array(z.string()).length(1),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  deprecated: z.boolean().optional(),
  responses: z.record(z.string(), z.looseObject({ content: z.record(z.string(), z.looseObject({})).optional() })),
});

async function document() {
  await using server = await openServer();
  const { body } = await server.call("GET", "/openapi.json", { token: null });
  const operations = Object.entries<Record<string, unknown>>(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...Operation.parse(operation) })),
  );
  return { body, operations, routes: server.routes };
}

describe("/openapi.json", () => {
  test("describes every route that is served", async () => {
    const { body, operations, routes } = await document();
    expect(body.openapi).toBe("3.1.0");
    expect(Object.keys(body.paths).toSorted()).toEqual([
      "/api/config/available-models",
      "/api/config/delete-model",
      "/api/config/models",
      "/api/config/pull-model",
      "/api/config/set-active-model",
      "/api/health",
      "/api/models",
      "/api/models/{name}",
      "/healthz",
      "/metrics",
      "/openapi.json",
      "/readyz",
      "/v1/active-models",
      "/v1/agents",
      "/v1/agents/{agent}",
      "/v1/agents/{agent}/disk",
      "/v1/agents/{agent}/models",
      "/v1/agents/{agent}/models/{model}",
      "/v1/agents/{agent}/models/{model}/copy",
      "/v1/agents/{agent}/models/{model}/load",
      "/v1/agents/{agent}/models/{model}/unload",
      "/v1/agents/{agent}/ping",
      "/v1/agents/{agent}/prune",
      "/v1/agents/{agent}/running",
      "/v1/agents/{agent}/trust",
      "/v1/audit",
      "/v1/catalog",
      "/v1/desired",
      "/v1/doctor",
      "/v1/events",
      "/v1/fit",
      "/v1/jobs",
      "/v1/jobs/{id}",
      "/v1/jobs/{id}/cancel",
      "/v1/jobs/{id}/events",
      "/v1/mirror",
      "/v1/mirror/fetches",
      "/v1/mirror/fetches/{id}",
      "/v1/mirror/gc",
      "/v1/mirror/models/{model}",
      "/v1/models",
      "/v1/refused",
      "/v1/session",
      "/v1/setup",
      "/v1/tickets",
      "/v1/tokens",
      "/v1/tokens/{name}",
      "/v1/updates",
      "/v1/webhooks/deliveries",
    ]);
    // Pages for people are no routes of the API; those under /agents are Ollama's, which describes them; /mirror is a registry.
    const served = routes
      .filter((route) => !/^GET \/(?:docs.*|assets.*)?$|^\w+ \/(?:agents|mirror)\//.test(route))
      .map((route) => route.replaceAll(/:(\w+)(?:{[^}]*})?/g, "{$1}"));
    const all = operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(all.toSorted()).toEqual([...new Set(served)].toSorted());
    const described = body.paths["/v1/jobs"].post.responses["202"].content["application/json"].schema;
    expect(described).toEqual({ $ref: "#/components/schemas/Jobs" });
    expect(body.components.schemas.Jobs.properties.jobs.items).toEqual({ $ref: "#/components/schemas/Job" });
    expect(body.components.schemas.Job.required).toContain("completed_bytes");
    const { Agent, Job, Model, RunningModel } = body.components.schemas;
    expect(Agent.required).toEqual(expect.arrayContaining(["gpus", "memory", "platform", "labels"]));
    expect(Job.properties.created_at).toMatchObject({ type: ["string", "null"], format: "date-time" });
    expect(Job.properties.requested_by).toMatchObject({ type: ["string", "null"] });
    expect(Model.required).toEqual(["name", "size", "modified_at", "digest", "agents"]);
    expect(Model.properties.details).toEqual({ $ref: "#/components/schemas/BriefDetails" });
    expect(RunningModel.properties.context_length).toMatchObject({ type: "integer" });
  });

  test("names each operation once, with a summary of one sentence, and its tag and security", async () => {
    const { body, operations } = await document();
    for (const field of ["operationId", "summary"] as const)
      expect(new Set(operations.map((operation) => operation[field])).size).toBe(operations.length);
    expect(operations.filter(({ operationId }) => !/^[a-z][A-Za-z]{4,30}$/.test(operationId))).toEqual([]);
    expect(operations.filter(({ summary }) => !/^[A-Z].{10,60}[^.]$/.test(summary))).toEqual([]);
    const tags = body.tags.map(({ name }: { name: string }) => name);
    expect(operations.filter((operation) => !tags.includes(operation.tags[0] ?? ""))).toEqual([]);
    const open = operations.filter(({ security }) => security.length === 0).map(({ path }) => path);
    expect(open.toSorted()).toEqual(["/healthz", "/openapi.json", "/readyz", "/v1/session", "/v1/session"]);
    const deprecated = operations.filter((operation) => operation.deprecated).map(({ path }) => path);
    expect(new Set(deprecated.map((path) => path.split("/", 2).join("/")))).toEqual(new Set(["/api"]));
    expect(deprecated).toHaveLength(6);
  });

  test("has an example of each response that is JSON, and each failure is a problem document with its status", async () => {
    const { operations } = await document();
    for (const { path, responses } of operations) {
      const withContent = Object.entries(responses).filter(([, { content }]) => content !== undefined);
      expect(withContent.length).toBeGreaterThan(1);
      for (const [status, { content }] of withContent) {
        for (const [type, { example }] of Object.entries(content ?? {})) {
          expect([path, status, example === undefined]).toEqual([path, status, false]);
          if (type === "application/problem+json") expect(example).toMatchObject({ status: Number(status) });
        }
      }
      if (path.startsWith("/v1/"))
        expect(Object.keys(responses)).toEqual(expect.arrayContaining(["400", "401", "403", "429", "500", "503"]));
      expect(Object.keys(responses)).not.toContain("default");
    }
  });

  test("gives enums names, bytes a width and times a format, also where they may be null", async () => {
    const { body } = await document();
    const { ErrorCode, JobState, Job, Problem, Agent, Event } = body.components.schemas;
    expect(ErrorCode).toMatchObject({ type: "string", enum: expect.arrayContaining(["not_found", "internal"]) });
    expect(JobState.enum).toContain("verifying");
    const [code, phase] = ["ErrorCode", "JobPhase"].map((name) => ({ $ref: `#/components/schemas/${name}` }));
    expect(Problem.properties.code).toEqual(code);
    expect(Job.properties.code).toEqual({ anyOf: [code, { type: "null" }] });
    expect(Job.properties.phase).toEqual({ anyOf: [phase, { type: "null" }] });
    for (const field of ["completed_bytes", "total_bytes", "partial_bytes"])
      expect(Job.properties[field]).toMatchObject({ format: "int64" });
    for (const field of ["created_at", "started_at", "ended_at", "retry_at"])
      expect(Job.properties[field]).toMatchObject({ format: "date-time" });
    expect(Agent.properties.last_seen_at).toMatchObject({ type: "string", format: "date-time" });
    expect(Event.oneOf).toHaveLength(6);
    const stream = body.paths["/v1/events"].get.responses["200"].content["text/event-stream"];
    expect(stream.schema).toMatchObject({ type: "string", contentSchema: { $ref: "#/components/schemas/Event" } });
  });
});
