// /v1/models and the models of one agent. Imports @hono/zod-openapi, the courier's documents, the grammar of names.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { DeletedDocument, ModelDocument, ModelsDocument } from "../courier/document_schemas.ts";
import { deletedDocument, modelsDocument } from "../courier/documents.ts";
import { mergeModels } from "../courier/models.ts";
import { CourierError } from "../errors.ts";
import { normalModelName, sameModel } from "../model_name.ts";
import { readOrLastKnown } from "./known_fleet.ts";
import type { Env, Services } from "./services.ts";
import { failures, json, PATH, QUERY, security } from "./v1_schemas.ts";

const listModels = createRoute({
  method: "get",
  path: "/v1/models",
  security,
  request: { query: QUERY.models },
  responses: {
    200: json("The models of the fleet, one entry per name and digest", ModelsDocument),
    ...failures,
  },
});

const listAgentModels = createRoute({
  method: "get",
  path: "/v1/agents/{agent}/models",
  security,
  request: { params: PATH.agent, query: QUERY.models.omit({ agent: true }) },
  responses: { 200: json("The models of one agent", ModelsDocument), ...failures },
});

const readModel = createRoute({
  method: "get",
  path: "/v1/agents/{agent}/models/{model}",
  security,
  request: { params: PATH.model },
  responses: { 200: json("One model of one agent", ModelDocument), ...failures },
});

const deleteModel = createRoute({
  method: "delete",
  path: "/v1/agents/{agent}/models/{model}",
  security,
  request: { params: PATH.model },
  responses: { 200: json("What became of it", DeletedDocument), ...failures },
});

interface Listing {
  readonly agent: string | undefined;
  readonly fresh?: boolean;
  readonly signal: AbortSignal;
}

export function addModelRoutes(app: OpenAPIHono<Env>, services: Services): void {
  app.openapi(listModels, async (context) => {
    const { agent, fresh } = context.req.valid("query");
    const listing = { agent, fresh: fresh === "true", signal: context.req.raw.signal };
    return context.json(await readModels(services, listing), 200);
  });

  app.openapi(listAgentModels, async (context) => {
    const { agent } = context.req.valid("param");
    const { fresh } = context.req.valid("query");
    const listing = { agent, fresh: fresh === "true", signal: context.req.raw.signal };
    return context.json(await readModels(services, listing), 200);
  });

  app.openapi(readModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    const wanted = normalModelName(model);
    const { models } = await readModels(services, { agent, signal: context.req.raw.signal });
    const found = models.find(({ name }) => sameModel(name, wanted));
    if (found === undefined) throw new CourierError("not_found", `Agent ${agent} has no model "${wanted}"`);
    return context.json(found, 200);
  });

  app.openapi(deleteModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    const name = normalModelName(model);
    services.connection.requireOpen();
    const answer = await services.courier.deleteModel(agent, name, { signal: context.req.raw.signal });
    return context.json(deletedDocument([{ agent, model: name, answer }]), 200);
  });
}

async function readModels(services: Services, { agent, fresh = false, signal }: Listing): Promise<ModelsDocument> {
  const names = agent === undefined ? undefined : [agent];
  return await readOrLastKnown(
    services,
    agent,
    async () => modelsDocument(await services.courier.listModels(names, { fresh, signal })),
    (views, unavailable) => {
      const held = views.map((view) => ({ agent: view.agent, models: view.state?.models ?? [] }));
      return modelsDocument({ models: mergeModels(held), unavailable });
    },
  );
}
