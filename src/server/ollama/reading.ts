// The routes that only read: version, tags, ps and show.
import type { Context, Hono } from "hono";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { isCloudName, sameModel } from "../../base/model_name.ts";
import type { FleetModels } from "../../courier/models.ts";
import type { Env } from "../http/env.ts";
import { inCliWords } from "../http/ollama_error.ts";
import type { ServicesOf } from "../services.ts";
import { listedModel, loadedModel, shownModel } from "./answers.ts";
import { type Box, boxOf, knownBox, modelsOf, orNoModel } from "./box.ts";
import { modelOf, REQUESTS, readRequest } from "./requests.ts";
import { ShownModels } from "./shown_models.ts";

const JSON_TYPE = { "content-type": "application/json; charset=utf-8" } as const;
const WORDS = { missing: "model is required", invalid: () => "invalid model name" };
/** A box publishes the same list until it changes. */
const tags = new WeakMap<FleetModels["models"], string>();

export function addReadingRoutes(routes: Hono<Env>, servicesOf: ServicesOf): void {
  const shown = new ShownModels();

  routes.get("/:agent/api/version", async (context) => {
    try {
      return context.json({ version: plainVersion(await publishedVersion(context, servicesOf)) });
    } catch (error) {
      const failure = asCourierError(error);
      if (failure.code !== "unavailable") throw failure;
      return context.text(inCliWords(failure.message), 503);
    }
  });

  routes.get("/:agent/api/tags", async (context) => {
    const models = await modelsOf(await boxOf(context, servicesOf), context.req.raw.signal);
    return context.body(tagsText(models), 200, JSON_TYPE);
  });

  routes.get("/:agent/api/ps", async (context) => {
    const { agent, services } = await boxOf(context, servicesOf);
    const { running } = await services.courier.listRunning([agent], { signal: context.req.raw.signal });
    return context.json({ models: running.toSorted(byTimeLeft).map(loadedModel) });
  });

  routes.post("/:agent/api/show", async (context) => {
    const { name } = modelOf(await readRequest(context, REQUESTS.named), WORDS);
    const box = await boxOf(context, servicesOf);
    const text = await shownText(box, name, shown, context.req.raw.signal);
    return context.body(text, 200, JSON_TYPE);
  });
}

function tagsText(models: FleetModels["models"]): string {
  const known = tags.get(models);
  if (known !== undefined) return known;
  const text = JSON.stringify({ models: models.map(listedModel) });
  tags.set(models, text);
  return text;
}

async function shownText(box: Box, name: string, shown: ShownModels, signal: AbortSignal): Promise<string> {
  const words = `model '${name}' not found`;
  const listed = (await modelsOf(box, signal)).find((model) => sameModel(model.name, name));
  // Ollama would ask ollama.com; a box does so only for models that it has.
  if (listed === undefined && isCloudName(name)) throw new CourierError("not_found", words);
  const known = listed === undefined ? undefined : shown.get(box.agent, listed);
  if (known !== undefined) return known;
  const { agent, services } = box;
  const { model, show } = await orNoModel(words, services.courier.describeModel(agent, name, { signal }));
  return shown.keep(agent, model, JSON.stringify(shownModel(show, model)));
}

/** Also of a box that is away: Open WebUI reads a version in any JSON, and a failure breaks it for all its connections. */
async function publishedVersion(context: Context<Env>, servicesOf: ServicesOf): Promise<string | null | undefined> {
  const view = await knownBox(context, servicesOf);
  return view.state?.ollama.version ?? (await boxOf(context, servicesOf)).view.state?.ollama.version;
}

/** Open WebUI compares versions of all its connections, and fails for all of them at a suffix such as `-rc1`. */
function plainVersion(version: string | null | undefined): string {
  return /^\d+(?:\.\d+)*/.exec(version ?? "")?.[0] ?? "0.0.0";
}

function byTimeLeft(a: { readonly expires_at: string }, b: { readonly expires_at: string }): number {
  return Date.parse(b.expires_at) - Date.parse(a.expires_at);
}
