// The box that a request is for.
import type { Context } from "hono";
import { asCourierError, CourierError } from "../../base/errors.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import type { FleetModels } from "../../courier/models.ts";
import { agentAway } from "../../courier/refusals.ts";
import { fleetFailure } from "../fleet/known_fleet.ts";
import { readModels } from "../fleet/read_models.ts";
import type { Env } from "../http/env.ts";
import type { Services, ServicesOf } from "../services.ts";

export interface Box {
  readonly agent: string;
  readonly view: AgentView;
  readonly services: Services;
}

/** @throws CourierError `not_found` when there is no such box; `unavailable` when it is away, or its Ollama is */
export async function boxOf(context: Context<Env>, servicesOf: ServicesOf): Promise<Box> {
  const agent = context.req.param("agent") ?? "";
  const services = servicesOf(context);
  services.connection.requireOpen();
  const view = await services.courier.agent(agent);
  if (!view.online || view.reason === "ollama_down") throw agentAway(view);
  return { agent, view, services };
}

/** @throws CourierError `unavailable` */
export async function modelsOf({ agent, services }: Box, signal: AbortSignal): Promise<FleetModels["models"]> {
  return (await readModels(services, { agent, signal })).models;
}

/** A box as it was last seen, also while it or the share is away. @throws CourierError `not_found`; `unavailable` */
export async function knownBox(context: Context<Env>, servicesOf: ServicesOf): Promise<AgentView> {
  const agent = context.req.param("agent") ?? "";
  const services = servicesOf(context);
  await fleetFailure(services);
  return services.fleet.index.view(agent) ?? (await services.courier.agent(agent));
}

/** The box is known, so it is the model that was not found: clients look for Ollama's words. */
export async function orNoModel<Result>(words: string, result: Promise<Result>): Promise<Result> {
  try {
    return await result;
  } catch (error) {
    throw asCourierError(error).code === "not_found" ? new CourierError("not_found", words, { cause: error }) : error;
  }
}
