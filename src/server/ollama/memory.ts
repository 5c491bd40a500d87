// /api/generate and /api/chat without a prompt: they load a model into memory, or unload it.
import type { Context, Hono } from "hono";
import { isoTime } from "../../base/clock.ts";
import { endsLoad, keepAliveSeconds } from "../../protocol/keep_alive.ts";
import { requireVerb } from "../access/route_needs.ts";
import { callerOf, type Env, requesterOf } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { type Box, boxOf, orNoModel } from "./box.ts";
import { modelOf, REQUESTS, readRequest } from "./requests.ts";
import { notServed } from "./unserved.ts";

const CHAT = { missing: "model is required", invalid: () => "invalid model name" };
/** Ollama itself looks for a model without a name. */
const GENERATE = { ...CHAT, missing: "model '' not found", missingCode: "not_found" } as const;

/** Ollama itself lets its clients wait for as long as a load takes. Proxies do not, nor does gpu-server's listener. */
const MOST_LOADING_MS = 60_000;

export function addMemoryRoutes(routes: Hono<Env>, servicesOf: ServicesOf): void {
  routes.post("/:agent/api/generate", async (context) => {
    const request = await readRequest(context, REQUESTS.generate);
    if (request.prompt || request.suffix || request.images?.length) throw notServed();
    const moved = await move(context, servicesOf, { ...modelOf(request, GENERATE), keepAlive: request.keep_alive });
    return context.json({ ...moved, response: "" });
  });

  routes.post("/:agent/api/chat", async (context) => {
    const request = await readRequest(context, REQUESTS.chat);
    if (request.messages?.length) throw notServed();
    const moved = await move(context, servicesOf, { ...modelOf(request, CHAT), keepAlive: request.keep_alive });
    return context.json({ ...moved, message: { role: "assistant", content: "" } });
  });
}

interface Moving extends ReturnType<typeof modelOf> {
  readonly keepAlive: unknown;
}

/** Loads or unloads the model, and describes it as Ollama does. */
async function move(context: Context<Env>, servicesOf: ServicesOf, { sent, name, keepAlive }: Moving): Promise<object> {
  const isUnload = endsLoad(keepAlive);
  requireVerb(callerOf(context), isUnload ? "unload_model" : "load_model");
  const box = await boxOf(context, servicesOf);
  const moving = isUnload ? unload(context, box, name) : load(context, box, name, keepAlive);
  await orNoModel(`model '${sent}' not found`, moving);
  const created_at = isoTime(box.services.clock.now());
  return { model: sent, created_at, done: true, done_reason: isUnload ? "unload" : "load" };
}

async function unload(context: Context<Env>, { agent, services }: Box, name: string): Promise<void> {
  await services.courier.unloadModel(agent, name, requesterOf(context));
}

async function load(context: Context<Env>, { agent, services }: Box, name: string, keepAlive: unknown): Promise<void> {
  const options = { ...requesterOf(context), timeoutMs: MOST_LOADING_MS };
  const kept = keepAlive === undefined || keepAlive === null ? {} : { keepAlive: keepAliveSeconds(keepAlive) };
  await services.courier.loadModel(agent, name, { ...options, ...kept });
}
