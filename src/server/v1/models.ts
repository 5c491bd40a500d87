// /v1/models, and the models of one agent.
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { z } from "zod";
import { instantMs } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { matchesGlob } from "../../base/glob.ts";
import { normalModelName, sameModel } from "../../base/model_name.ts";
import { holdsModel } from "../../courier/agent_view.ts";
import type { FleetModel } from "../../courier/fleet_model.ts";
import type { FleetModels } from "../../courier/models.ts";
import { failedEntry } from "../../courier/unavailable.ts";
import { ModelsDocument, modelDocument, modelsDocument, ShownDocument, shownDocument } from "../../documents/models.ts";
import { DeletedDocument, deletedDocument } from "../../documents/outcomes.ts";
import { Fragments } from "../fleet/lists/fragments.ts";
import { linkTo, pageText } from "../fleet/lists/page_text.ts";
import { inOrder, type Order, pageOf } from "../fleet/lists/pages.ts";
import { type Rendered, renderedText, respond } from "../fleet/lists/rendered.ts";
import { type Listing, readModels } from "../fleet/read_models.ts";
import { type Env, requesterOf } from "../http/env.ts";
import type { Services, ServicesOf } from "../services.ts";
import { EXAMPLES } from "./schema/examples.ts";
import { conditional, kept, QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { json, PATH, security } from "./schema/schemas.ts";

const MODELS = { models: [EXAMPLES.model] };

const listModels = createRoute({
  method: "get",
  path: "/v1/models",
  operationId: "listModels",
  tags: ["models"],
  summary: "List the models of the fleet",
  security,
  request: { query: QUERY.models },
  parameters: conditional,
  responses: {
    ...kept("One page of the models of the fleet, one entry per name and digest", ModelsDocument, MODELS),
    ...failures(404, 504),
  },
});

const listAgentModels = createRoute({
  method: "get",
  path: "/v1/agents/{agent}/models",
  operationId: "listAgentModels",
  tags: ["models"],
  summary: "List the models of one agent",
  security,
  request: { params: PATH.agent, query: QUERY.ofAgent },
  parameters: conditional,
  responses: { ...kept("The models of one agent", ModelsDocument, MODELS), ...failures(404, 504) },
});

const showModel = createRoute({
  method: "get",
  path: "/v1/agents/{agent}/models/{model}",
  operationId: "getModel",
  tags: ["models"],
  summary: "Show one model of one agent",
  security,
  request: { params: PATH.model, query: QUERY.none },
  responses: {
    200: json("The model, with Ollama's details", ShownDocument, EXAMPLES.shown),
    ...failures(404, 501, 504),
  },
});

const deleteModel = createRoute({
  method: "delete",
  path: "/v1/agents/{agent}/models/{model}",
  operationId: "deleteModel",
  tags: ["models"],
  summary: "Delete a model from one agent",
  security,
  request: { params: PATH.model, query: QUERY.none },
  responses: { 200: json("The result", DeletedDocument, EXAMPLES.deleted), ...failures(404, 409, 501, 504, 507) },
});

type Query = z.output<typeof QUERY.models>;

const NEWEST_FIRST: Order<FleetModel> = {
  name: "-modified_at",
  keyOf: ({ name, digest, modified_at, clockOffsetMs }) => [instantMs(modified_at) + clockOffsetMs, name, digest],
  isDescending: true,
};
const BY_NAME: Order<FleetModel> = { name: "name", keyOf: ({ name, digest }) => [name, digest] };
const BY_SIZE: Order<FleetModel> = { name: "size", keyOf: ({ name, digest, size }) => [size, name, digest] };
const ORDERS: Readonly<Record<Query["sort"], Order<FleetModel>>> = {
  "-modified_at": NEWEST_FIRST,
  modified_at: { ...NEWEST_FIRST, name: "modified_at", isDescending: false },
  name: BY_NAME,
  "-name": { ...BY_NAME, name: "-name", isDescending: true },
  size: BY_SIZE,
  "-size": { ...BY_SIZE, name: "-size", isDescending: true },
};
const fragments = new Fragments(modelDocument);
/** Of lists that are the same object until their agent publishes another. */
const wholeLists = new WeakMap<readonly FleetModel[], Rendered>();

function renderWhole({ models, unavailable }: FleetModels): Rendered {
  const known = wholeLists.get(models);
  if (known !== undefined && unavailable.length === 0) return known;
  const text = pageText("models", { items: models, next: null }, fragments, unavailable);
  const rendered = { ...renderedText(text), next: null };
  if (unavailable.length === 0) wholeLists.set(models, rendered);
  return rendered;
}

export function addModelRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(listModels, async (context) => {
    const query = context.req.valid("query");
    const services = servicesOf(context);
    const listing = { agent: query.agent, fresh: query.fresh === "true", signal: context.req.raw.signal };
    const { version, read } = await findModels(services, listing);
    const rendered = services.lists.get(context.req.url, version, () => {
      const { models, unavailable } = read();
      const order = ORDERS[query.sort];
      const isWanted = ({ name }: FleetModel) => query.name === undefined || matchesGlob(query.name, name);
      const page = pageOf(order === NEWEST_FIRST ? models : inOrder(models, order), order, isWanted, query);
      const away = query.after === undefined ? unavailable : [];
      return { text: pageText("models", page, fragments, away), next: linkTo(context, page.next) };
    });
    return respond<ModelsDocument>(context, rendered);
  });

  app.openapi(listAgentModels, async (context) => {
    const { agent } = context.req.valid("param");
    const { fresh, last_known: lastKnown } = context.req.valid("query");
    const wants = { fresh: fresh === "true", lastKnown: lastKnown === "true" };
    const listing = { agent, ...wants, signal: context.req.raw.signal };
    return respond<ModelsDocument>(context, renderWhole(await readModels(servicesOf(context), listing)));
  });

  app.openapi(showModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    const { signal } = context.req.raw;
    return context.json(await readModel(servicesOf(context), agent, normalModelName(model), signal), 200);
  });

  app.openapi(deleteModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    const name = normalModelName(model);
    const { connection, courier } = servicesOf(context);
    connection.requireOpen();
    const answer = await courier.deleteModel(agent, name, requesterOf(context));
    return context.json(deletedDocument([{ agent, model: name, answer }]), 200);
  });
}

/**
 * A model's entry in the list, with Ollama's details or the reason why they are missing.
 * @throws CourierError `not_found`; `unavailable` when the agent is offline
 */
async function readModel(services: Services, agent: string, name: string, signal: AbortSignal): Promise<ShownDocument> {
  services.connection.requireOpen();
  const noModel = new CourierError("not_found", `Agent ${agent} has no model "${name}"`, {
    hint: `GET /v1/agents/${agent}/models lists its models`,
  });
  // Any name can be asked for: an agent is not asked each time for one that its state does not show.
  const isPublished = holdsModel(await services.courier.agent(agent), name);
  if (!isPublished && (await services.modelQuestions.find(agent, name)).model === undefined) throw noModel;
  const described = await describeModel(services, agent, name, signal);
  // The list is needed only where the agent has not answered.
  const { models, unavailable: [stale] = [] } =
    "reason" in described
      ? modelsDocument(await readModels(services, { agent, signal }))
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

interface Listed {
  /** Undefined: another reading may find others. */
  readonly version?: string;
  /** Only for a response that is not rendered yet. */
  readonly read: () => FleetModels;
}

/** From the index, if it holds the models of all agents. */
async function findModels(services: Services, listing: Listing): Promise<Listed> {
  const { fleet } = services;
  if (listing.agent === undefined && listing.fresh !== true) {
    await fleet.looked();
    const list = fleet.index.models;
    if (fleet.index.holdsAll(list))
      return { version: String(list.version), read: () => ({ models: list.items, unavailable: list.away }) };
  }
  const found = await readModels(services, listing);
  return { read: () => found };
}
