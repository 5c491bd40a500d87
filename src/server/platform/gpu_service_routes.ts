// /api/health and /api/models: the routes of the GPU HTTP service that part of the platform calls.
import { Hono } from "hono";
import { isoTime } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import { normalModelName } from "../../base/model_name.ts";
import { requireOnline } from "../fleet/known_fleet.ts";
import { type Env, requesterOf } from "../http/env.ts";
import { errorResponse } from "../http/problem.ts";
import type { Services, ServicesOf } from "../services.ts";
import { chooseAgent } from "./addressing.ts";
import { PlatformModels } from "./model_list.ts";

/** The rest of the path is the model's name, which contains `:` and `/`, plain or percent-encoded. */
const ONE_MODEL = "/models/:name{.+}";

export function gpuServiceRoutes(servicesOf: ServicesOf): Hono<Env> {
  const lists = new PlatformModels();
  const routes = new Hono<Env>();

  routes.get("/health", async (context) => {
    const services = servicesOf(context);
    try {
      return context.json(await health(services));
    } catch (error) {
      return unhealthy(services, context.req.path, error);
    }
  });

  routes.get("/models", async (context) => {
    const models = await lists.read(context, servicesOf(context));
    return context.body(`{"success":true,"models":${models}}`, 200, { "content-type": "application/json" });
  });

  routes.post(ONE_MODEL, async (context) => {
    const model = normalModelName(context.req.param("name"));
    const services = servicesOf(context);
    const agent = await chooseAgent(context, services);
    await services.courier.pullModel(agent, model, requesterOf(context));
    return context.json({ success: true, message: `Started pulling model ${model} on ${agent}` });
  });

  routes.delete(ONE_MODEL, async (context) => {
    const model = normalModelName(context.req.param("name"));
    const services = servicesOf(context);
    const agent = await chooseAgent(context, services);
    await services.courier.deleteModel(agent, model, requesterOf(context));
    return context.json({ success: true, message: `Deleted model ${model} on ${agent}` });
  });

  return routes;
}

/** Ollama counts as available when any agent reaches its own. */
async function health({ courier, connection, clock }: Services) {
  connection.requireOpen();
  const online = requireOnline(await courier.agents());
  const available = online.some(({ state, legacyState }) => (state ?? legacyState)?.ollama_available === true);
  return { status: "healthy", ollama_available: available, timestamp: isoTime(clock.now()) };
}

function unhealthy({ clock }: Services, path: string, error: unknown): Response {
  const { status, headers } = errorResponse(path, error);
  const { message } = asCourierError(error);
  const body = { success: false, status: "unhealthy", ollama_available: false, error: message };
  return new Response(JSON.stringify({ ...body, timestamp: isoTime(clock.now()) }), { status, headers });
}
