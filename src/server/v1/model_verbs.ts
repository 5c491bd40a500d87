// Copying, loading and unloading a model of one agent, and what is in its memory and on its disk.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { normalModelName } from "../../base/model_name.ts";
import { mergeRunning } from "../../courier/running.ts";
import { DiskDocument, diskDocument, PrunedDocument, prunedDocument } from "../../documents/models/disk.ts";
import { CopiedDocument, copiedDocument, UnloadedDocument, unloadedDocument } from "../../documents/outcomes.ts";
import { LoadedDocument, loadedDocument, RunningDocument, runningDocument } from "../../documents/running.ts";
import { KeepAlive } from "../../protocol.ts";
import { readOrLastKnown } from "../fleet/known_fleet.ts";
import { requireJson, requireJsonOrNothing } from "../http/body.ts";
import { type Env, requesterOf } from "../http/env.ts";
import { MAX_WAIT_S } from "../limits/listeners.ts";
import type { ServicesOf } from "../services.ts";
import { EXAMPLES } from "./schema/examples.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { bodyOf, json, PATH, security } from "./schema/schemas.ts";

const CopyRequest = bodyOf({ destination: z.string().min(1) }).meta({ id: "CopyRequest" });

const copyModel = createRoute({
  method: "post",
  path: "/v1/agents/{agent}/models/{model}/copy",
  operationId: "copyModel",
  tags: ["models"],
  summary: "Give a model of one agent a second name",
  description: "Uses no extra disk space. A model that already has the second name is replaced.",
  security,
  middleware: requireJson,
  request: {
    params: PATH.model,
    query: QUERY.none,
    body: { ...json("The second name", CopyRequest, { destination: "phi4:backup" }), required: true },
  },
  responses: {
    200: json("The result", CopiedDocument, { agents: [{ ...EXAMPLES.outcome, destination: "phi4:backup" }] }),
    ...failures(404, 409, 413, 415, 501, 504, 507),
  },
});

const LoadRequest = bodyOf({
  keep_alive: KeepAlive.nullish().meta({
    description:
      "How long it stays loaded after its last use: seconds, or a duration such as `10m`; negative: until it is unloaded. Without it, as the agent's Ollama is set",
  }),
}).meta({ id: "LoadRequest" });

const loadModel = createRoute({
  method: "post",
  path: "/v1/agents/{agent}/models/{model}/load",
  operationId: "loadModel",
  tags: ["models"],
  summary: "Load a model into one agent's memory",
  description:
    "Answers when it is loaded. A model that is loaded stays for longer. A large one on a slow disk may take longer than 60 s: a 504 then, and the load goes on. Safe to repeat.",
  security,
  middleware: requireJsonOrNothing,
  request: {
    params: PATH.model,
    query: QUERY.none,
    body: json("How long it stays loaded", LoadRequest, { keep_alive: "10m" }),
  },
  responses: {
    200: json("The result", LoadedDocument, { agents: [EXAMPLES.outcome] }),
    ...failures(404, 413, 415, 501, 504, 507),
  },
});

const unloadModel = createRoute({
  method: "post",
  path: "/v1/agents/{agent}/models/{model}/unload",
  operationId: "unloadModel",
  tags: ["models"],
  summary: "Unload a model from one agent's memory",
  description: "It stays installed, and is loaded again at its next use.",
  security,
  request: { params: PATH.model, query: QUERY.none },
  responses: {
    200: json("The result", UnloadedDocument, { agents: [EXAMPLES.outcome] }),
    ...failures(404, 501, 504, 507),
  },
});

const listRunning = createRoute({
  method: "get",
  path: "/v1/agents/{agent}/running",
  operationId: "listRunning",
  tags: ["models"],
  summary: "List the models in one agent's memory",
  security,
  request: { params: PATH.agent, query: QUERY.ofAgent },
  responses: {
    200: json("The models in memory", RunningDocument, { running: [EXAMPLES.loaded] }),
    ...failures(404, 501, 504),
  },
});

const readDisk = createRoute({
  method: "get",
  path: "/v1/agents/{agent}/disk",
  operationId: "readDisk",
  tags: ["agents"],
  summary: "Measure the disk of one agent's models",
  description:
    "Each model with its own bytes and those that it shares, unfinished downloads, and blobs that no manifest names. The agent is asked.",
  security,
  request: { params: PATH.agent, query: QUERY.none },
  responses: {
    200: json("The disk", DiskDocument, { agents: [EXAMPLES.disk] }),
    ...failures(404, 501, 504),
  },
});

const PruneRequest = bodyOf({
  partials: z.boolean().nullish().meta({ description: "Unfinished downloads" }),
  orphans: z.boolean().nullish().meta({ description: "Whole blobs that no manifest names" }),
  dry_run: z.boolean().nullish().meta({ description: "Remove nothing" }),
}).meta({ id: "PruneRequest", description: "With neither `partials` nor `orphans`, both." });

const pruneDisk = createRoute({
  method: "post",
  path: "/v1/agents/{agent}/prune",
  operationId: "prune",
  tags: ["agents"],
  summary: "Remove what downloads and deletes left on one agent's disk",
  description:
    "Only what no pull and no model needs and what has not changed for an hour; nothing while a pull runs. A dry run needs the same role. Safe to repeat.",
  security,
  middleware: requireJsonOrNothing,
  request: {
    params: PATH.agent,
    query: QUERY.none,
    body: json("What to remove", PruneRequest, { partials: true, dry_run: true }),
  },
  responses: {
    200: json("The result", PrunedDocument, { agents: [EXAMPLES.pruned] }),
    ...failures(404, 413, 415, 501, 504, 507),
  },
});

function addDiskRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(readDisk, async (context) => {
    const { agent } = context.req.valid("param");
    const { courier } = servicesOf(context);
    const answer = await courier.diskUsage(agent, { signal: context.req.raw.signal });
    return context.json(diskDocument([{ agent, answer }]), 200);
  });

  app.openapi(pruneDisk, async (context) => {
    const { agent } = context.req.valid("param");
    const { partials, orphans, dry_run } = context.req.valid("json");
    const { connection, courier } = servicesOf(context);
    connection.requireOpen();
    const choices = { partials: partials ?? undefined, orphans: orphans ?? undefined, dryRun: dry_run ?? undefined };
    const answer = await courier.prune(agent, choices, requesterOf(context));
    return context.json(prunedDocument([{ agent, answer }]), 200);
  });
}

export function addModelVerbRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  addMemoryRoutes(app, servicesOf);
  addDiskRoutes(app, servicesOf);

  app.openapi(copyModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    const [name, destination] = [normalModelName(model), normalModelName(context.req.valid("json").destination)];
    const { connection, courier } = servicesOf(context);
    connection.requireOpen();
    await courier.copyModel(agent, name, destination, requesterOf(context));
    return context.json(copiedDocument([{ agent }], name, destination), 200);
  });

  app.openapi(listRunning, async (context) => {
    const { agent } = context.req.valid("param");
    const query = context.req.valid("query");
    const fresh = query.fresh === "true";
    const { signal } = context.req.raw;
    const services = servicesOf(context);
    const { freshLists, courier } = services;
    const document = await readOrLastKnown(
      services,
      agent,
      async () =>
        runningDocument(await (fresh ? freshLists.running([agent]) : courier.listRunning([agent], { signal }))),
      (views, unavailable) => {
        const held = views.map((view) => ({ agent: view.agent, running: view.state?.running ?? [] }));
        return runningDocument({ running: mergeRunning(held), unavailable });
      },
      query.last_known === "true",
    );
    return context.json(document, 200);
  });
}

function addMemoryRoutes(app: OpenAPIHono<Env>, servicesOf: ServicesOf): void {
  app.openapi(loadModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    const { keep_alive: keepAlive } = context.req.valid("json");
    const name = normalModelName(model);
    const { connection, courier } = servicesOf(context);
    connection.requireOpen();
    const options = { ...requesterOf(context), keepAlive: keepAlive ?? undefined, whileRunningMs: MAX_WAIT_S * 1000 };
    const { message } = await courier.loadModel(agent, name, options);
    return context.json(loadedDocument([{ agent }], name, message), 200);
  });

  app.openapi(unloadModel, async (context) => {
    const { agent, model } = context.req.valid("param");
    const name = normalModelName(model);
    const { connection, courier } = servicesOf(context);
    connection.requireOpen();
    const { message } = await courier.unloadModel(agent, name, requesterOf(context));
    return context.json(unloadedDocument([{ agent }], name, message), 200);
  });
}
