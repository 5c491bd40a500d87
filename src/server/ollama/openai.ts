// /agents/{agent}/v1/models: the list as OpenAI's clients read it.
import type { Hono } from "hono";
import { CourierError } from "../../base/errors.ts";
import { sameModel } from "../../base/model_name.ts";
import type { Env } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { openAiModel } from "./answers.ts";
import { boxOf, modelsOf } from "./box.ts";
import { normalOr } from "./requests.ts";

export function addOpenAiRoutes(routes: Hono<Env>, servicesOf: ServicesOf): void {
  routes.get("/:agent/v1/models", async (context) => {
    const models = await modelsOf(await boxOf(context, servicesOf), context.req.raw.signal);
    return context.json({ object: "list", data: models.map(openAiModel) });
  });

  // A name of a namespace has a slash, which clients send as it is or encoded.
  routes.get("/:agent/v1/models/:model{.+}", async (context) => {
    const wanted = normalOr(context.req.param("model"), () => "invalid model name");
    const models = await modelsOf(await boxOf(context, servicesOf), context.req.raw.signal);
    const model = models.find(({ name }) => sameModel(name, wanted));
    if (model === undefined) throw new CourierError("not_found", `model '${wanted}' not found`);
    return context.json(openAiModel(model));
  });
}
