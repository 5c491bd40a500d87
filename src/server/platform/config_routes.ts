// /api/config: the routes of the platform's page, as the legacy backend serves them.
import { Hono } from "hono";
import { z } from "zod";
import { normalModelName } from "../../base/model_name.ts";
import { readBody } from "../http/body.ts";
import { type Env, requesterOf } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { ModelType } from "../store/active_models.ts";
import { chooseAgent } from "./addressing.ts";
import { installedName } from "./installed_name.ts";
import { PlatformModels } from "./model_list.ts";

const JSON_TYPE = { "content-type": "application/json" };
const NamedModel = z.object({ model_name: z.string().trim().min(1) });
const ActiveModel = NamedModel.extend({ model_type: ModelType });

export function platformRoutes(servicesOf: ServicesOf): Hono<Env> {
  const lists = new PlatformModels();
  const routes = new Hono<Env>();

  routes.get("/models", async (context) => {
    const services = servicesOf(context);
    const models = await lists.read(context, services);
    const { activeModels } = services;
    return context.body(`{"models":${models},"active_models":${JSON.stringify(activeModels.read())}}`, 200, JSON_TYPE);
  });

  routes.get("/available-models", (context) => context.json(servicesOf(context).catalog));

  routes.post("/set-active-model", async (context) => {
    const { model_name, model_type } = await readBody(context, ActiveModel);
    const services = servicesOf(context);
    const model = await installedName(services, normalModelName(model_name), context);
    await services.activeModels.set(model_type, model);
    return context.json({ message: `Active ${model_type} model set to ${model}` });
  });

  routes.post("/pull-model", async (context) => {
    const { model_name } = await readBody(context, NamedModel);
    const services = servicesOf(context);
    const [model, agent] = [normalModelName(model_name), await chooseAgent(context, services)];
    const job = await services.courier.pullModel(agent, model, requesterOf(context));
    return context.json({ message: `Started pulling model ${model} on ${agent}`, job });
  });

  routes.delete("/delete-model", async (context) => {
    const { model_name } = await readBody(context, NamedModel);
    const services = servicesOf(context);
    const [model, agent] = [normalModelName(model_name), await chooseAgent(context, services)];
    await services.courier.deleteModel(agent, model, requesterOf(context));
    return context.json({ message: `Deleted model ${model} on ${agent}` });
  });

  return routes;
}
