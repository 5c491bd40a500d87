// The routes that delete and copy.
import type { Hono } from "hono";
import { type Env, requesterOf } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { boxOf, orNoModel } from "./box.ts";
import { modelOf, normalOr, REQUESTS, readRequest } from "./requests.ts";

const WORDS = { missing: "model is required", invalid: (name: string) => `name ${JSON.stringify(name)} is invalid` };

export function addChangingRoutes(routes: Hono<Env>, servicesOf: ServicesOf): void {
  routes.delete("/:agent/api/delete", async (context) => {
    const { sent, name } = modelOf(await readRequest(context, REQUESTS.named), WORDS);
    const { agent, services } = await boxOf(context, servicesOf);
    await orNoModel(`model '${sent}' not found`, services.courier.deleteModel(agent, name, requesterOf(context)));
    return context.body(null, 200);
  });

  routes.post("/:agent/api/copy", async (context) => {
    const { source, destination } = await readRequest(context, REQUESTS.copy);
    const from = normalOr(source ?? "", (text) => `source ${JSON.stringify(text)} is invalid`);
    const to = normalOr(destination ?? "", (text) => `destination ${JSON.stringify(text)} is invalid`);
    const { agent, services } = await boxOf(context, servicesOf);
    const copied = services.courier.copyModel(agent, from, to, requesterOf(context));
    await orNoModel(`model ${JSON.stringify(source)} not found`, copied);
    return context.body(null, 200);
  });
}
