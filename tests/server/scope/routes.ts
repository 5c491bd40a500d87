// Every route with tokens: what a caller with limits needs for it, and requests about an agent, a model or a job.
import type { Verb } from "#src/protocol.ts";
import type { Subject } from "./subjects.ts";

interface Asked {
  readonly path: string;
  readonly body?: object;
}

interface Row {
  /** `any`: all may use it; `no limits`: nobody with limits may. */
  readonly needs: Verb | "any" | "no limits";
  /** Nobody with limited agents may use it. */
  readonly onAll?: true;
  readonly requests: (subject: Subject) => readonly Asked[];
  /** Of the response to a caller that may use it; missing: a success. */
  readonly status?: number;
}

const paths =
  (...of: readonly ((subject: Subject) => string)[]) =>
  (subject: Subject) =>
    of.map((path) => ({ path: path(subject) }));
const perJob =
  (path: (id: string) => string) =>
  ({ jobs }: Subject) =>
    jobs.map((id) => ({ path: path(id) }));
const body = (path: string, of: (subject: Subject) => readonly object[]) => (subject: Subject) =>
  of(subject).map((each) => ({ path, body: each }));

const box =
  (route: string, ...bodies: readonly ((subject: Subject) => object)[]) =>
  (subject: Subject) => {
    const path = `/agents/${subject.agent}/${route}`;
    return bodies.length === 0 ? [{ path }] : bodies.map((of) => ({ path, body: of(subject) }));
  };
const UNLOAD = ({ model }: Subject) => ({ model, keep_alive: 0 });

/** Those of Ollama, for one box. */
const OLLAMA_ROUTES: Readonly<Record<string, Row>> = {
  "GET /agents/:agent/api/version": { needs: "any", requests: box("api/version") },
  "GET /agents/:agent/api/tags": { needs: "list_models", requests: box("api/tags") },
  "GET /agents/:agent/api/ps": { needs: "list_running", requests: box("api/ps") },
  "POST /agents/:agent/api/show": { needs: "show_model", requests: box("api/show", ({ model }) => ({ model })) },
  "POST /agents/:agent/api/pull": { needs: "pull_model", requests: box("api/pull", () => ({ model: "new:1b" })) },
  "DELETE /agents/:agent/api/delete": {
    needs: "delete_model",
    requests: box("api/delete", ({ model }) => ({ model })),
  },
  "POST /agents/:agent/api/copy": {
    needs: "copy_model",
    requests: box("api/copy", ({ model }) => ({ source: model, destination: "second:1b" })),
  },
  "POST /agents/:agent/api/generate": { needs: "unload_model", requests: box("api/generate", UNLOAD) },
  "POST /agents/:agent/api/chat": { needs: "unload_model", requests: box("api/chat", UNLOAD) },
  "GET /agents/:agent/v1/models": { needs: "list_models", requests: box("v1/models") },
  "GET /agents/:agent/v1/models/:model{.+}": {
    needs: "list_models",
    requests: ({ agent, model }) => [{ path: `/agents/${agent}/v1/models/${model}` }],
  },
  "GET /agents/:agent/:unserved{(?:api/(?:push|create|embed|embeddings|me|signout|(?:blobs|experimental)/.+)|v1/.+)}": {
    needs: "any",
    requests: box("api/blobs/sha256:12"),
    status: 501,
  },
  "POST /agents/:agent/:unserved{(?:api/(?:push|create|embed|embeddings|me|signout|(?:blobs|experimental)/.+)|v1/.+)}":
    {
      needs: "any",
      requests: box("v1/chat/completions", () => ({})),
      status: 501,
    },
};

export const ROUTES: Readonly<Record<string, Row>> = {
  "GET /v1/agents": {
    needs: "any",
    requests: paths(
      () => "/v1/agents",
      () => "/v1/agents?limit=1&sort=-name",
      ({ agent }) => `/v1/agents?name=${agent}`,
      () => "/v1/agents?label=site=hidden",
    ),
  },
  "GET /v1/agents/:agent": { needs: "any", requests: paths(({ agent }) => `/v1/agents/${agent}`) },
  ...Object.fromEntries(
    ["manifests/:tag", "signatures/:tag", "blobs/:digest"].map((what) => [
      `GET /mirror/v2/:host/:namespace/:model/${what}`,
      { needs: "no limits", requests: () => [{ path: `/mirror/v2/registry.ollama.ai/library/phi4/${what}` }] },
    ]),
  ),
  "DELETE /v1/agents/:agent": { needs: "no limits", requests: paths(({ agent }) => `/v1/agents/${agent}`) },
  "POST /v1/agents/:agent/trust": {
    needs: "no limits",
    requests: ({ agent }) => [{ path: `/v1/agents/${agent}/trust`, body: { unsigned: true } }],
  },
  "POST /v1/agents/:agent/ping": { needs: "any", requests: paths(({ agent }) => `/v1/agents/${agent}/ping`) },
  "GET /v1/agents/:agent/models": {
    needs: "list_models",
    requests: paths(
      ({ agent }) => `/v1/agents/${agent}/models`,
      ({ agent }) => `/v1/agents/${agent}/models?fresh=true`,
    ),
  },
  "GET /v1/agents/:agent/models/:model": {
    needs: "show_model",
    requests: paths(({ agent, model }) => `/v1/agents/${agent}/models/${model}`),
  },
  "DELETE /v1/agents/:agent/models/:model": {
    needs: "delete_model",
    requests: paths(({ agent, model }) => `/v1/agents/${agent}/models/${model}`),
  },
  "POST /v1/agents/:agent/models/:model/copy": {
    needs: "copy_model",
    requests: ({ agent, model }) => [
      { path: `/v1/agents/${agent}/models/${model}/copy`, body: { destination: "second:1b" } },
    ],
  },
  "POST /v1/agents/:agent/models/:model/load": {
    needs: "load_model",
    requests: ({ agent, model }) => [
      { path: `/v1/agents/${agent}/models/${model}/load` },
      { path: `/v1/agents/${agent}/models/${model}/load`, body: { keep_alive: "10m" } },
    ],
  },
  "GET /v1/agents/:agent/disk": { needs: "disk_usage", requests: paths(({ agent }) => `/v1/agents/${agent}/disk`) },
  "POST /v1/agents/:agent/prune": {
    needs: "prune",
    requests: ({ agent }) => [
      { path: `/v1/agents/${agent}/prune` },
      { path: `/v1/agents/${agent}/prune`, body: { dry_run: true } },
    ],
  },
  "POST /v1/agents/:agent/models/:model/unload": {
    needs: "unload_model",
    requests: paths(({ agent, model }) => `/v1/agents/${agent}/models/${model}/unload`),
  },
  "GET /v1/agents/:agent/running": {
    needs: "list_running",
    requests: paths(
      ({ agent }) => `/v1/agents/${agent}/running`,
      ({ agent }) => `/v1/agents/${agent}/running?fresh=true`,
    ),
  },
  "GET /v1/models": {
    needs: "list_models",
    requests: paths(
      () => "/v1/models",
      () => "/v1/models?limit=1&sort=size",
      () => "/v1/models?fresh=true",
      ({ model }) => `/v1/models?name=${model}`,
      ({ agent }) => `/v1/models?agent=${agent}`,
    ),
  },
  "GET /v1/updates": {
    needs: "list_models",
    requests: paths(
      () => "/v1/updates",
      ({ model }) => `/v1/updates?name=${model}`,
      ({ agent }) => `/v1/updates?agent=${agent}`,
    ),
  },
  "GET /v1/desired": { needs: "list_models", requests: paths(() => "/v1/desired") },
  "GET /v1/mirror": { needs: "list_models", requests: paths(() => "/v1/mirror") },
  "GET /v1/mirror/fetches": { needs: "list_jobs", requests: paths(() => "/v1/mirror/fetches") },
  "POST /v1/mirror/fetches": {
    needs: "pull_model",
    onAll: true,
    requests: body("/v1/mirror/fetches", () => [{ model: "new:1b" }]),
  },
  "GET /v1/mirror/fetches/:id": {
    needs: "list_jobs",
    requests: paths(({ fetch }) => `/v1/mirror/fetches/${fetch}`),
  },
  "DELETE /v1/mirror/fetches/:id": {
    needs: "cancel_job",
    onAll: true,
    requests: paths(({ fetch }) => `/v1/mirror/fetches/${fetch}`),
  },
  "DELETE /v1/mirror/models/:model": {
    needs: "delete_model",
    onAll: true,
    requests: paths(({ model }) => `/v1/mirror/models/${model}`),
  },
  "POST /v1/mirror/gc": { needs: "delete_model", onAll: true, requests: paths(() => "/v1/mirror/gc") },
  "GET /v1/fit": {
    needs: "published_model",
    requests: paths(
      ({ model }) => `/v1/fit?model=${model}`,
      ({ model, agent }) => `/v1/fit?model=${model}&agent=${agent}`,
    ),
  },
  "GET /v1/jobs": {
    needs: "list_jobs",
    requests: paths(
      () => "/v1/jobs",
      () => "/v1/jobs?state=failed&sort=-created_at",
      ({ agent }) => `/v1/jobs?agent=${agent}`,
    ),
  },
  "POST /v1/jobs": {
    needs: "pull_model",
    requests: body("/v1/jobs", ({ agent }) => [
      { kind: "pull", model: "new:1b", agents: [agent] },
      { kind: "pull", model: "new:1b", agents: "all" },
    ]),
  },
  "GET /v1/jobs/:id": { needs: "list_jobs", requests: perJob((id) => `/v1/jobs/${id}`) },
  "POST /v1/jobs/:id/cancel": { needs: "cancel_job", requests: perJob((id) => `/v1/jobs/${id}/cancel`) },
  "GET /v1/jobs/:id/events": { needs: "list_jobs", requests: perJob((id) => `/v1/jobs/${id}/events`) },
  "GET /v1/events": { needs: "list_jobs", requests: paths(() => "/v1/events") },
  "GET /v1/session": { needs: "any", requests: paths(() => "/v1/session") },
  "POST /v1/tickets": { needs: "list_jobs", requests: paths(() => "/v1/tickets") },
  "GET /metrics": {
    needs: "any",
    requests: paths(
      () => "/metrics",
      () => "/metrics?collect=models",
    ),
  },
  "GET /api/health": { needs: "any", requests: paths(() => "/api/health") },
  "GET /api/models": {
    needs: "list_models",
    requests: paths(
      () => "/api/models",
      () => "/api/models?fresh=true",
      ({ agent }) => `/api/models?agent=${agent}`,
    ),
  },
  "POST /api/models/:name{.+}": {
    needs: "pull_model",
    requests: paths(
      ({ agent }) => `/api/models/new:1b?agent=${agent}`,
      () => "/api/models/new:1b",
    ),
  },
  "DELETE /api/models/:name{.+}": {
    needs: "delete_model",
    requests: paths(({ agent, model }) => `/api/models/${model}?agent=${agent}`),
  },
  "GET /api/config/models": {
    needs: "list_models",
    requests: paths(
      () => "/api/config/models",
      () => "/api/config/models?fresh=true",
      ({ agent }) => `/api/config/models?agent=${agent}`,
    ),
  },
  "GET /v1/refused": {
    needs: "list_jobs",
    requests: paths(
      () => "/v1/refused",
      ({ agent }) => `/v1/refused?agent=${agent}`,
    ),
  },
  "GET /v1/doctor": { needs: "no limits", requests: paths(() => "/v1/doctor") },
  "GET /v1/setup": { needs: "no limits", requests: paths(() => "/v1/setup") },
  "GET /v1/active-models": { needs: "list_models", requests: paths(() => "/v1/active-models") },
  "POST /v1/active-models": {
    needs: "no limits",
    requests: body("/v1/active-models", ({ model }) => [{ model, type: "text" }]),
  },
  "GET /v1/catalog": { needs: "any", requests: paths(() => "/v1/catalog") },
  "GET /v1/tokens": { needs: "no limits", requests: paths(() => "/v1/tokens") },
  "POST /v1/tokens": {
    needs: "no limits",
    requests: body("/v1/tokens", ({ agent }) => [{ name: "new", role: "gp", agents: [agent] }]),
  },
  "DELETE /v1/tokens/:name": { needs: "no limits", requests: paths(() => "/v1/tokens/scoped") },
  "GET /v1/audit": { needs: "no limits", requests: paths(() => "/v1/audit") },
  "GET /v1/webhooks/deliveries": { needs: "no limits", requests: paths(() => "/v1/webhooks/deliveries") },
  ...OLLAMA_ROUTES,
  "GET /api/config/available-models": { needs: "any", requests: paths(() => "/api/config/available-models") },
  "POST /api/config/pull-model": {
    needs: "pull_model",
    requests: ({ agent }) => [
      { path: `/api/config/pull-model?agent=${agent}`, body: { model_name: "new:1b" } },
      { path: "/api/config/pull-model", body: { model_name: "new:1b" } },
    ],
  },
  "DELETE /api/config/delete-model": {
    needs: "delete_model",
    requests: ({ agent, model }) => [{ path: `/api/config/delete-model?agent=${agent}`, body: { model_name: model } }],
  },
  "POST /api/config/set-active-model": {
    needs: "no limits",
    requests: body("/api/config/set-active-model", ({ model }) => [{ model_name: model, model_type: "text" }]),
  },
};

/** They show nothing of agents, with any token. */
export const OPEN_ROUTES = [
  "GET /agents/:agent",
  "GET /",
  "POST /v1/session",
  "DELETE /v1/session",
  "GET /assets/:name",
  "GET /healthz",
  "GET /readyz",
  "GET /openapi.json",
  "GET /docs",
  "GET /docs/start.js",
  "GET /docs/swagger-ui.js",
  "GET /docs/swagger-ui.css",
];
