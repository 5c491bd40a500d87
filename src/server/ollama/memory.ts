// /api/generate and /api/chat without a prompt: they load a model into memory, or unload it.
import type { Context, Hono } from "hono";
import { isoTime } from "../../base/clock.ts";
import { keepAliveSeconds } from "../../protocol/keep_alive.ts";
import { requireVerb } from "../access/route_needs.ts";
import { callerOf, type Env, requesterOf } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { type Box, boxOf, orNoModel } from "./box.ts";
import { modelOf, REQUESTS, readRequest } from "./requests.ts";
import { notServed } from "./unserved.ts";

const WORDS = { missing: "model is required", invalid: (name: string) => `model '${name}' not found` };

/** Ollama itself lets its clients wait for as long as a load takes. Proxies do not, nor does gpu-server's listener. */
const MOST_LOADING_MS = 60_000;

export function addMemoryRoutes(routes: Hono<Env>, servicesOf: ServicesOf): void {
  routes.post("/:agent/api/generate", async (context) => {
    const request = await readRequest(context, REQUESTS.generate);
    if (request.prompt || request.suffix || request.images?.length) throw notServed();
    return context.json({ ...(await moved(context, servicesOf, request)), response: "" });
  });

  routes.post("/:agent/api/chat", async (context) => {
    const request = await readRequest(context, REQUESTS.chat);
    if (request.messages?.length) throw notServed();
    return context.json({
      ...(await moved(context, servicesOf, request)),
      message: { role: "assistant", content: "" },
    });
  });
}

type Moving = Parameters<typeof modelOf>[0] & { readonly keep_alive?: unknown };

/** Loads or unloads the model, and describes it as Ollama does. */
async function moved(context: Context<Env>, servicesOf: ServicesOf, request: Moving): Promise<object> {
  const { sent, name } = modelOf(request, WORDS);
  const isUnload = endsAtOnce(request.keep_alive);
  requireVerb(callerOf(context), isUnload ? "unload_model" : "load_model");
  const box = await boxOf(context, servicesOf);
  const moving = isUnload ? unload(context, box, name) : load(context, box, name, request.keep_alive);
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

/** Seconds, or a duration as Go writes it: `0`, `"0"`, `"0s"`, `"0h0m"`. */
function endsAtOnce(keepAlive: unknown): boolean {
  if (typeof keepAlive === "number") return keepAlive === 0;
  return typeof keepAlive === "string" && /^(?:0+(?:\.0*)?(?:ns|us|µs|ms|s|m|h)?)+$/.test(keepAlive);
}
