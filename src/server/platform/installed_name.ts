// The name of a model as it is installed somewhere in the fleet.
import type { Context } from "hono";
import { CourierError } from "../../base/errors.ts";
import { sameModel } from "../../base/model_name.ts";
import { holdsModel } from "../../courier/agent_view.ts";
import type { Env } from "../http/env.ts";
import type { Services } from "../services.ts";

/**
 * A model that an offline agent had when it was last seen counts as installed.
 * @throws CourierError `not_found`
 */
export async function installedName(services: Services, model: string, context: Context<Env>): Promise<string> {
  const { courier, connection, modelQuestions } = services;
  connection.requireOpen();
  const { models } = await courier.listModels(undefined, { signal: context.req.raw.signal });
  const published = models.find(({ name }) => sameModel(name, model));
  if (published !== undefined) return published.name;
  if (courier.lastKnownAgents().some((view) => holdsModel(view, model))) return model;
  const { model: asked, unavailable } = await modelQuestions.find(undefined, model);
  if (asked !== undefined) return asked.name;
  const away = unavailable.map(({ agent }) => agent).join(", ");
  throw new CourierError("not_found", `Model "${model}" is not installed on any agent`, {
    hint: away === "" ? "Pull it first" : `Pull it first; these agents could not be asked: ${away}`,
  });
}
