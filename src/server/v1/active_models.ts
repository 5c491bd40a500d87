// /v1/active-models and /v1/catalog: the model that the platform uses for each purpose, and those that it offers to pull.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { normalModelName } from "../../base/model_name.ts";
import { orNull } from "../../documents/named.ts";
import { requireJson } from "../http/body.ts";
import type { Env } from "../http/env.ts";
import { Catalog } from "../platform/catalog.ts";
import { installedName } from "../platform/installed_name.ts";
import type { Services, ServicesOf } from "../services.ts";
import { ModelType } from "../store/active_models.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { bodyOf, json, security } from "./schema/schemas.ts";

const model = orNull(z.string());
const ActiveModels = z
  .object({ vision: model, text: model, scoring: model, science: model } satisfies Record<ModelType, typeof model>)
  .meta({ id: "ActiveModels", description: "The platform's model for each purpose; null: none is set" });
const ActiveModelRequest = bodyOf({ type: ModelType, model: z.string().trim().min(1) }).meta({
  id: "ActiveModelRequest",
});
const EXAMPLE = { vision: null, text: "phi4:latest", scoring: null, science: null };

const listActiveModels = createRoute({
  method: "get",
  path: "/v1/active-models",
  operationId: "listActiveModels",
  tags: ["models"],
  summary: "List the platform's active models",
  description: "A token for some agents sees those that one of its agents has.",
  security,
  request: { query: QUERY.none },
  responses: { 200: json("The active models", ActiveModels, EXAMPLE), ...failures() },
});

const setActiveModel = createRoute({
  method: "post",
  path: "/v1/active-models",
  operationId: "chooseActiveModel",
  tags: ["models"],
  summary: "Choose the platform's active model for a purpose",
  description: "The model must be installed on an agent. Not for a token with limits.",
  security,
  middleware: requireJson,
  request: {
    query: QUERY.none,
    body: { ...json("The model", ActiveModelRequest, { type: "text", model: "phi4" }), required: true },
  },
  responses: { 200: json("The active models", ActiveModels, EXAMPLE), ...failures(404, 413, 415) },
});

const listCatalog = createRoute({
  method: "get",
  path: "/v1/catalog",
  operationId: "listCatalog",
  tags: ["models"],
  summary: "List the models of the catalog",
  description: "The file of `gpu-server --catalog`. `size` is a text for people.",
  security,
  request: { query: QUERY.none },
  responses: {
    200: json("The catalog", Catalog.meta({ id: "Catalog" }), {
      models: [{ name: "phi4:latest", description: "Microsoft's 14B model", size: "9.1 GB" }],
    }),
    ...failures(),
  },
});

export function addActiveModelRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(listActiveModels, (context) => context.json(activeModels(servicesOf(context)), 200));

  app.openapi(setActiveModel, async (context) => {
    const { type, model: name } = context.req.valid("json");
    const services = servicesOf(context);
    await services.activeModels.set(type, await installedName(services, normalModelName(name), context));
    return context.json(activeModels(services), 200);
  });

  app.openapi(listCatalog, (context) => context.json(servicesOf(context).catalog, 200));
}

function activeModels({ activeModels: stored }: Pick<Services, "activeModels">): z.infer<typeof ActiveModels> {
  const { vision = null, text = null, scoring = null, science = null } = stored.read();
  return { vision, text, scoring, science };
}
