// The server's hono apps: every route with its middleware. Opens no socket.

import { OpenAPIHono } from "@hono/zod-openapi";
import { Hono, type MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { CourierError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { VERSION } from "../program/flags.ts";
import { changesNothing } from "./access/route_needs.ts";
import { addAuditRoutes } from "./audit/route.ts";
import { consoleRoutes } from "./console/routes.ts";
import { renderedText, respondUnlessKept } from "./fleet/lists/rendered.ts";
import { limitBody } from "./http/body.ts";
import { docsRoutes } from "./http/docs/routes.ts";
import { callerOf, type Env, identifyPeer } from "./http/env.ts";
import { refuseBrowsers, requireToken, requireTokenStill, trustEveryone } from "./http/guard/auth.ts";
import { allowOrigins } from "./http/guard/cross_origin.ts";
import { showReasons } from "./http/guard/ollama_cli.ts";
import { RefusedHosts } from "./http/guard/refused_hosts.ts";
import { requireTrustedHost, type TrustedHosts } from "./http/guard/trusted_hosts.ts";
import { healthRoutes } from "./http/health_routes.ts";
import { asInvalid } from "./http/invalid.ts";
import { answerOptions, describeHead, refuseOtherMethods } from "./http/methods.ts";
import { errorResponse } from "./http/problem.ts";
import { requestPath, requireValidHost } from "./http/request_target.ts";
import { compressResponse, identifyRequest, keepNothing } from "./http/responses.ts";
import { RequestRate } from "./limits/request_rate.ts";
import { addMetricsRoute } from "./metrics/route.ts";
import { timeRequests } from "./metrics/timed_requests.ts";
import { addDesiredRoute } from "./models/desired/route.ts";
import { addFitRoutes } from "./models/fit/route.ts";
import { addMirrorRoutes } from "./models/mirror/route.ts";
import { mirrorFilesRoutes } from "./models/mirror_files/routes.ts";
import { addUpdateRoutes } from "./models/updates/route.ts";
import { ollamaRoots, ollamaRoutes } from "./ollama/routes.ts";
import { platformRoutes } from "./platform/config_routes.ts";
import { CONFIG_ROUTES } from "./platform/described_config.ts";
import { GPU_SERVICE_ROUTES } from "./platform/described_gpu_service.ts";
import { gpuServiceRoutes } from "./platform/gpu_service_routes.ts";
import { Scopes } from "./scope/scopes.ts";
import type { ServicesOf, WholeServices } from "./services.ts";
import { addActiveModelRoutes } from "./v1/active_models.ts";
import { addAgentRoutes } from "./v1/agents.ts";
import { addContactRoutes } from "./v1/contact.ts";
import { addDoctorRoutes } from "./v1/doctor.ts";
import { addEventRoutes } from "./v1/events.ts";
import { addForgetRoute } from "./v1/forget.ts";
import { addJobRoutes } from "./v1/jobs.ts";
import { addModelVerbRoutes } from "./v1/model_verbs.ts";
import { addModelRoutes } from "./v1/models.ts";
import { aboutServer, describeServer } from "./v1/schema/description.ts";
import { LICENSE } from "./v1/schema/license.ts";
import { addSessionRoute, addSignInRoutes } from "./v1/session.ts";
import { addSetupRoutes } from "./v1/setup.ts";
import { addTicketRoutes } from "./v1/tickets.ts";
import { addTokenRoutes } from "./v1/tokens.ts";
import { addTrustRoutes } from "./v1/trust.ts";
import { addWebhookRoutes } from "./webhooks/route.ts";

const UNENCODED_MODEL = /^\/(?:v1\/agents\/[^/]+|api)\/models\/[^/]+\/./;

/** What they show depends on the agents of the caller. */
const OF_CALLER = [
  addAgentRoutes,
  addContactRoutes,
  addTrustRoutes,
  addModelRoutes,
  addModelVerbRoutes,
  addUpdateRoutes,
  addDesiredRoute,
  addMirrorRoutes,
  addFitRoutes,
  addActiveModelRoutes,
  addTicketRoutes,
  addJobRoutes,
  addEventRoutes,
] as const;
const OF_SERVER = [
  addForgetRoute,
  addDoctorRoutes,
  addAuditRoutes,
  addWebhookRoutes,
  addTokenRoutes,
  addSetupRoutes,
] as const;

type Access = "with tokens" | "without tokens";

/**
 * All routes. Each needs a token, except /healthz, /readyz, /openapi.json, /docs, /, /assets and the root of each box under
 * /agents.
 * @param corsOrigins of the web pages whose browsers may use it
 */
export function createApi(services: WholeServices, corsOrigins: readonly string[] = []): Hono<Env> {
  const app = new OpenAPIHono<Env>({
    getPath: requestPath,
    defaultHook: (result) => {
      if (!result.success)
        throw asInvalid(
          result.error,
          "data" in result ? result.data : undefined,
          result.target === "json" ? "the body" : `the ${result.target}`,
        );
    },
  });
  addCommon(app, services, { access: "with tokens", corsOrigins });
  // First, so that a caller without a valid token learns nothing about routes or bodies.
  const { sessions, sessionCookie } = services;
  const access = { ...services, cookie: sessions && sessionCookie, rate: new RequestRate(services.clock) };
  const withToken = requireToken(access);
  app.use(answerOptions);
  if (sessions !== null) addSignInRoutes(app, services, { sessions, cookie: sessionCookie, access });
  for (const path of ["/api/*", "/v1/*", "/metrics"]) app.use(path, withToken, limitBody, requireTokenStill(services));
  // Its clients are no browsers.
  const withHeader = requireToken({ ...access, cookie: null });
  app.route("/", ollamaRoots());
  app.use("/agents/*", showReasons, withHeader, limitBody, requireTokenStill(services));
  addMirrorFiles(app, services, withHeader);
  const open = [healthRoutes(services), ...(services.sessions === null ? [] : [consoleRoutes()]), docsRoutes()];
  for (const routes of open) app.route("/", routes);
  const scopes = new Scopes(services);
  const servicesOf: ServicesOf = (context) => scopes.servicesFor(callerOf(context));
  app.route("/api/config", platformRoutes(servicesOf));
  app.route("/api", gpuServiceRoutes(servicesOf));
  app.route("/agents", ollamaRoutes(servicesOf));
  describeServer(app.openAPIRegistry);
  for (const add of OF_CALLER) add(app, servicesOf);
  if (sessions !== null) addSessionRoute(app, services);
  for (const add of OF_SERVER) add(app, services);
  addMetricsRoute(app, services, servicesOf);
  addDescription(app);
  return app;
}

function addMirrorFiles(app: OpenAPIHono<Env>, services: WholeServices, withHeader: MiddlewareHandler<Env>): void {
  app.use("/mirror/*", withHeader, limitBody, requireTokenStill(services));
  app.route("/mirror", mirrorFilesRoutes(services));
}

/** Built once, because it takes tens of ms and needs no token. */
function addDescription(app: OpenAPIHono<Env>): void {
  for (const route of [...CONFIG_ROUTES, ...GPU_SERVICE_ROUTES]) app.openAPIRegistry.registerPath(route);
  let document: ReturnType<typeof renderedText> | undefined;
  app.get("/openapi.json", (context) => {
    document ??= renderedText(JSON.stringify(app.getOpenAPI31Document(aboutServer(VERSION, LICENSE))));
    return respondUnlessKept(context, document, "application/json", "no-cache");
  });
}

/** Only /api/health, /api/models and /agents, for clients of the GPU service and of Ollama, which send no token. */
export function createTrustedApi(services: WholeServices, hosts: TrustedHosts): Hono<Env> {
  const app = new Hono<Env>({ getPath: requestPath });
  addCommon(app, services, { access: "without tokens", corsOrigins: [] });
  app.use(requireTrustedHost(hosts, new RefusedHosts(services.log)), refuseBrowsers, trustEveryone, limitBody);
  app.route(
    "/api",
    gpuServiceRoutes(() => services),
  );
  app.route("/", ollamaRoots());
  app.route(
    "/agents",
    ollamaRoutes(() => services),
  );
  return app;
}

interface Choices {
  readonly access: Access;
  readonly corsOrigins: readonly string[];
}

function addCommon(app: Hono<Env>, services: WholeServices, { access, corsOrigins }: Choices): void {
  const { recorder, measures, clock, log, proxies } = services;
  if (access === "with tokens") app.use(identifyPeer(proxies));
  app.use(timeRequests(measures), identifyRequest, recorder.middleware, logRequest(log, access));
  app.use(describeHead(clock), compressResponse, keepNothing, allowOrigins(corsOrigins));
  app.use(refuseOtherMethods(app), requireValidHost);
  app.notFound(({ req }) => {
    // The length of the response to HEAD is that of GET's.
    const method = req.method === "HEAD" ? "GET" : req.method;
    const hint = UNENCODED_MODEL.test(req.path) ? "Write / in a model's name as %2F" : undefined;
    return errorResponse(req.path, new CourierError("not_found", `No route ${method} ${req.path}`, { hint }));
  });
  app.onError((error, context) => {
    const { req } = context;
    const request = { method: req.method, path: req.path, request_id: context.get("requestId") };
    if (!(error instanceof CourierError) && !(error instanceof HTTPException))
      log.error({ error, ...request }, "A request failed unexpectedly");
    return errorResponse(req.path, error);
  });
}

/**
 * Logs each request with the name of its token: at level debug if it only reads, or was refused because it has no valid
 * token or came too fast.
 */
function logRequest(log: Log, access: Access): MiddlewareHandler<Env> {
  return async (context, next) => {
    const startedMs = performance.now();
    await next();
    const { method, path } = context.req;
    const durationMs = Math.round(performance.now() - startedMs);
    const caller = context.get("caller");
    const token = caller === undefined || caller.way === "trusted" ? null : caller.name;
    const { status } = context.res;
    const isRefused = access === "with tokens" && (token === null || status === 429);
    const level = isRefused || changesNothing(method, path) ? "debug" : "info";
    const request_id = context.get("requestId");
    log[level]({ method, path, status, durationMs, token, request_id }, "Request");
  };
}
