// /v1/mirror: the models on the share, the fetches that bring them there, and their upkeep.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { instantMs } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { normalModelName, parseModelName } from "../../../base/model_name.ts";
import { modelsInStates } from "../../../courier/models.ts";
import {
  FetchDocument,
  FetchesDocument,
  FreedDocument,
  MirrorDocument,
  mirrorDocument,
} from "../../../documents/models/mirror.ts";
import { AgentName, CommandId } from "../../../protocol.ts";
import { requireJson } from "../../http/body.ts";
import { type Env, requesterOf } from "../../http/env.ts";
import type { Services, ServicesOf } from "../../services.ts";
import { QUERY } from "../../v1/schema/list_schemas.ts";
import { failures } from "../../v1/schema/problems.ts";
import { bodyOf, json, security } from "../../v1/schema/schemas.ts";
import { agentsFetches, cancelOnAgent, startOnAgent } from "./agents_fetches.ts";
import { MIRROR_EXAMPLES } from "./examples.ts";

const TAGS = ["mirror"];
const ID = z.object({
  id: CommandId.meta({ description: "The fetch's id", example: MIRROR_EXAMPLES.fetch.id }),
});
const MODEL = z.object({
  model: z.string().meta({
    description: "The model's name, percent-encoded: `hf.co%2Fuser%2Fmodel%3Atag`",
    example: "phi4:latest",
  }),
});

const getMirror = createRoute({
  method: "get",
  path: "/v1/mirror",
  operationId: "getMirror",
  tags: TAGS,
  summary: "List the models of the mirror",
  description:
    "With the agents that have each of them, as their states show it. 501 where gpu-server has no `--mirror`.",
  security,
  request: { query: QUERY.none },
  responses: { 200: json("The mirror", MirrorDocument, MIRROR_EXAMPLES.mirror), ...failures(501) },
});

const listFetches = createRoute({
  method: "get",
  path: "/v1/mirror/fetches",
  operationId: "listFetches",
  tags: TAGS,
  summary: "List the fetches into the mirror",
  description:
    "Of gpu-server, those under way and the last 200 that have ended, and of agents with `--mirror-source` what their states show.",
  security,
  request: { query: QUERY.none },
  responses: {
    200: json("The newest first", FetchesDocument, { fetches: [MIRROR_EXAMPLES.fetch] }),
    ...failures(501),
  },
});

const FetchRequest = bodyOf({
  model: z.string().min(1),
  agent: AgentName.nullish().meta({
    description: "The agent that fetches, with `--mirror-source`. Missing: gpu-server itself",
  }),
}).meta({ id: "FetchRequest" });

const startFetch = createRoute({
  method: "post",
  path: "/v1/mirror/fetches",
  operationId: "startFetch",
  tags: TAGS,
  summary: "Fetch a model from its registry into the mirror",
  description:
    "Joins the fetch of this model that is under way. It goes on after a restart of gpu-server, and where a failed or cancelled one " +
    "stopped. What the mirror has already is not fetched again. Not for a token that is limited to some agents.",
  security,
  middleware: requireJson,
  request: {
    query: QUERY.none,
    body: { ...json("The model", FetchRequest, { model: "phi4" }), required: true },
  },
  responses: {
    202: json("The fetch", FetchDocument, MIRROR_EXAMPLES.fetch),
    ...failures(404, 413, 415, 501, 504, 507),
  },
});

const readFetch = createRoute({
  method: "get",
  path: "/v1/mirror/fetches/{id}",
  operationId: "getFetch",
  tags: TAGS,
  summary: "Show one fetch, with the pulls that follow it",
  security,
  request: { params: ID, query: QUERY.none },
  responses: { 200: json("The fetch", FetchDocument, MIRROR_EXAMPLES.withPulls), ...failures(404, 501) },
});

const cancelFetch = createRoute({
  method: "delete",
  path: "/v1/mirror/fetches/{id}",
  operationId: "cancelFetch",
  tags: TAGS,
  summary: "Cancel a fetch",
  description:
    "For all that asked for it: the pulls that would follow fail with `cancelled`. The next fetch of the " +
    "model goes on from there. One that has succeeded or failed is a `conflict`.",
  security,
  request: { params: ID, query: QUERY.none },
  responses: {
    200: json("The cancelled fetch", FetchDocument, MIRROR_EXAMPLES.cancelled),
    ...failures(404, 409, 501, 504, 507),
  },
});

const removeModel = createRoute({
  method: "delete",
  path: "/v1/mirror/models/{model}",
  operationId: "removeMirrored",
  tags: TAGS,
  summary: "Remove a model from the mirror",
  description: "With the blobs that no other model has. The agents keep what they pulled.",
  security,
  request: { params: MODEL, query: QUERY.none },
  responses: {
    200: json("What was removed", FreedDocument, MIRROR_EXAMPLES.freed),
    ...failures(404, 409, 501, 504),
  },
});

const collect = createRoute({
  method: "post",
  path: "/v1/mirror/gc",
  operationId: "collectMirror",
  tags: TAGS,
  summary: "Remove what no model of the mirror needs",
  description:
    "Blobs that are older than an hour, and unfinished files of more than 7 days. A `conflict` while a fetch runs.",
  security,
  request: { query: QUERY.none },
  responses: {
    200: json("What was removed", FreedDocument, { files: 2, bytes: 1_203_298_304 }),
    ...failures(404, 409, 501, 504),
  },
});

/** @throws CourierError `unimplemented` where gpu-server runs no mirror */
export function requireMirror({ mirror }: Pick<Services, "mirror">): NonNullable<Services["mirror"]> {
  if (mirror !== null) return mirror;
  throw new CourierError("unimplemented", "This gpu-server runs no mirror", { hint: "Start it with --mirror" });
}

export function addMirrorRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  addFetchRoutes(app, servicesOf);

  app.openapi(getMirror, async (context) => {
    const services = servicesOf(context);
    const mirror = requireMirror(services);
    const listed = await mirror.list();
    return context.json(mirrorDocument(mirror.folder, listed, modelsInStates(services.fleet.lastKnown())), 200);
  });

  app.openapi(removeModel, async (context) => {
    const name = parseModelName(context.req.valid("param").model);
    const freed = await requireMirror(servicesOf(context)).remove(name);
    return context.json({ model: normalModelName(context.req.valid("param").model), ...freed }, 200);
  });

  app.openapi(collect, async (context) => context.json(await requireMirror(servicesOf(context)).collect(), 200));
}

function addFetchRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(listFetches, (context) => context.json({ fetches: [...listedFetches(servicesOf(context))] }, 200));

  app.openapi(startFetch, async (context) => {
    const { model: name, agent } = context.req.valid("json");
    const services = servicesOf(context);
    const model = normalModelName(name);
    if (agent) return context.json(await startOnAgent(services, agent, model, requesterOf(context)), 202);
    const requestedBy = requesterOf(context).requestedBy ?? null;
    return context.json(requireMirror(services).add({ model, requestedBy }), 202);
  });

  app.openapi(readFetch, (context) => {
    const { id } = context.req.valid("param");
    const services = servicesOf(context);
    return context.json(fetchOfAgent(services, id) ?? requireMirror(services).fetchDocument(id), 200);
  });

  app.openapi(cancelFetch, async (context) => {
    const { id } = context.req.valid("param");
    const services = servicesOf(context);
    const { agent = null } = fetchOfAgent(services, id) ?? {};
    if (agent === null) return context.json(await requireMirror(services).cancel(id), 200);
    return context.json(await cancelOnAgent(services, agent, id, requesterOf(context)), 200);
  });
}

/** Those of this server and of the agents, the newest first. */
function listedFetches(services: Services): readonly FetchDocument[] {
  const others = agentsFetches(services);
  // Without a mirror of its own it still shows what agents fetch.
  const own = others.length > 0 && services.mirror === null ? [] : requireMirror(services).fetchDocuments();
  const createdMs = ({ created_at }: FetchDocument): number => instantMs(created_at ?? "");
  return [...own, ...others].toSorted((a, b) => createdMs(b) - createdMs(a));
}

/** An agent chooses the ids in its state: it must not take over a fetch of gpu-server. */
function fetchOfAgent(services: Services, id: string): FetchDocument | undefined {
  if (services.mirror?.hasFetch(id) === true) return undefined;
  return agentsFetches(services).find((fetch) => fetch.id === id);
}
