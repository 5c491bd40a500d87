// /agents/{agent}/…: the part of Ollama's API that manages models, for the clients that people have for Ollama itself.
import { Hono } from "hono";
import { CourierError } from "../../base/errors.ts";
import { AgentName } from "../../protocol.ts";
import type { Env } from "../http/env.ts";
import type { ServicesOf } from "../services.ts";
import { addChangingRoutes } from "./changes.ts";
import { addMemoryRoutes } from "./memory.ts";
import { addOpenAiRoutes } from "./openai.ts";
import { addPullRoute } from "./pull.ts";
import { addReadingRoutes } from "./reading.ts";
import { addUnservedRoute } from "./unserved.ts";

/** The root of each box. Clients ask for it before anything else, and it says the same of boxes that do not exist. */
export function ollamaRoots(): Hono<Env> {
  return new Hono<Env>().get("/agents/:agent", (context) => {
    const { agent } = context.req.param();
    if (!AgentName.safeParse(agent).success) throw new CourierError("not_found", "That is no agent's name");
    return context.text("Ollama is running");
  });
}

/** To be served under /agents. */
export function ollamaRoutes(servicesOf: ServicesOf): Hono<Env> {
  const routes = new Hono<Env>();
  addReadingRoutes(routes, servicesOf);
  addOpenAiRoutes(routes, servicesOf);
  addPullRoute(routes, servicesOf);
  addChangingRoutes(routes, servicesOf);
  addMemoryRoutes(routes, servicesOf);
  addUnservedRoute(routes);
  return routes;
}
