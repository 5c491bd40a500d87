// /v1/models, and the models of one agent.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { normalModelName, sameModel } from "../../base/model_name.ts";
import { holdsModel } from "../../courier/agent_view.ts";
import { mergeModels } from "../../courier/models.ts";
import { failedEntry } from "../../courier/unavailable.ts";
import { ModelsDocument, modelsDocument, ShownDocument, shownDocument } from "../../documents/models.ts";
import { DeletedDocument, deletedDocument } from "../../documents/outcomes.ts";
import type { Env } from "../http/env.ts";
import { readOrLastKnown } from "../known_fleet.ts";
import type { Services } from "../services.ts";
import { failures, json, PATH, QUERY, security } from "./schemas.ts";

const listModels = createRoute({
  method: "get",
  path: "/v1/models",
  summary: "List the models of the fleet",
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
  summary: "List the models of one agent",
  security,
  request: { params: PATH.agent, query: QUERY.models.omit({ agent: true }) },
  responses: { 200: json("The models of one agent", ModelsDocument), ...failures },
});

const showModel = createRoute({
  method: "get",
  path: "/v1/agents/{agent}/models/{model}",
  summary: "Show one model of one agent",
  security,
  request: { params: PATH.model },
  responses: { 200: json("The model, with Ollama's details", ShownDocument), ...failures },
});

const deleteModel = createRoute({
  method: "delete",
  path: "/v1/agents/{agent}/models/{model}",
  summary: "Delete a model from one agent",
  security,
  request: { params: PATH.model },
  responses: { 200: json("The result", DeletedDocument), ...failures },
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

  app.openapi(showModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    return context.json(await readModel(services, agent, normalModelName(model), context.req.raw.signal), 200);
  });

  app.openapi(deleteModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    const name = normalModelName(model);
    services.connection.requireOpen();
    const answer = await services.courier.deleteModel(agent, name, { signal: context.req.raw.signal });
    return context.json(deletedDocument([{ agent, model: name, answer }]), 200);
  });
}

/**
 * A model's entry in the list, with Ollama's details or the reason why they are missing.
 * @throws CourierError `not_found`; `unavailable` when the agent is offline
 */
async function readModel(services: Services, agent: string, name: string, signal: AbortSignal): Promise<ShownDocument> {
  const noModel = new CourierError("not_found", `Agent ${agent} has no model "${name}"`);
  // Any name can be asked for: an agent is not asked each time for one that its state does not show.
  const isPublished = holdsModel(await services.courier.agent(agent), name);
  if (!isPublished && (await services.modelQuestions.find(agent, name)).model === undefined) throw noModel;
  const described = await describeModel(services, agent, name, signal);
  // The list is needed only where the agent has not answered.
  const { models, unavailable: [stale] = [] } =
    "reason" in described
      ? await readModels(services, { agent, signal })
      : modelsDocument({ models: [described.model], unavailable: [] });
  const model = models.find((candidate) => sameModel(candidate.name, name));
  if (model === undefined) throw noModel;
  return shownDocument(model, stale ?? ("reason" in described ? described : described.show));
}

async function describeModel({ courier, connection }: Services, agent: string, name: string, signal: AbortSignal) {
  try {
    connection.requireOpen();
    return await courier.describeModel(agent, name, { signal });
  } catch (error) {
    if (asCourierError(error).code === "not_found") throw error;
    return failedEntry(agent, error);
  }
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
