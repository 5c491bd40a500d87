// /v1/active-models and /v1/catalog: the model that the platform uses for each purpose, and those that it offers to pull.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { asCourierError } from "../../base/errors.ts";
import { normalModelName } from "../../base/model_name.ts";
import { countFits, FitCounts } from "../../documents/models/fit.ts";
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
const CatalogDocument = Catalog.extend({
  models: z.array(Catalog.shape.models.element.extend({ fit: FitCounts.optional() })),
}).meta({ id: "Catalog" });
/** In a larger fleet `fit` is missing: it would cost each reader of the catalog too much time. */
const MOST_JUDGED = 1_000;
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
  description:
    "The file of `gpu-server --catalog`. `size` is a text for people. `fit` counts the boxes that a model fits, where its size is " +
    "known: gpu-server asks the registries when the catalog is read, and this request does not wait for the answers.",
  security,
  request: { query: QUERY.none },
  responses: {
    200: json("The catalog", CatalogDocument, {
      models: [
        {
          name: "phi4:latest",
          description: "Microsoft's 14B model",
          size: "9.1 GB",
          fit: { fits: 3, fits_partly: 1, does_not_fit: 0, unknown: 0 },
        },
      ],
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

  app.openapi(listCatalog, (context) => context.json(catalogDocument(servicesOf(context)), 200));
}

/** With what is known at this moment: the registries are asked for the next request. */
function catalogDocument({ catalog, publishedModels, fleet }: Services): z.infer<typeof CatalogDocument> {
  const views = fleet.lastKnown();
  if (views.length === 0 || views.length > MOST_JUDGED) return catalog;
  const named = catalog.models.map((entry) => ({ entry, name: modelName(entry.name) }));
  const asked = named.flatMap(({ name }) => (name === null ? [] : [{ name, digest: "", gotAtMs: 0 }]));
  void publishedModels.ask(asked);
  return {
    models: named.map(({ entry, name }) => {
      const found = name === null ? undefined : publishedModels.peek(name);
      const weights = found?.kind === "manifest" ? found.weightsBytes : null;
      return weights === null ? entry : { ...entry, fit: countFits(weights, views) };
    }),
  };
}

/** Null: the operator's file has a name that no model can have. */
function modelName(text: string): string | null {
  try {
    return normalModelName(text);
  } catch (error) {
    if (asCourierError(error).code === "invalid") return null;
    throw error;
  }
}

function activeModels({ activeModels: stored }: Pick<Services, "activeModels">): z.infer<typeof ActiveModels> {
  const { vision = null, text = null, scoring = null, science = null } = stored.read();
  return { vision, text, scoring, science };
}
