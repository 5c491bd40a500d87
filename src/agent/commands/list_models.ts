// The verb list_models: how version 1 and version 2 lists are answered.
import { CourierError } from "../../base/errors.ts";
import type { Model } from "../../protocol.ts";
import type { OllamaMonitor } from "../ollama/monitor.ts";
import { firstThatFit } from "./cut_lists.ts";
import type { AcceptedCommand } from "./judge.ts";
import type { Result } from "./response.ts";

/**
 * Version 1, a legacy backend, gets the whole list: it knows no pages, and no limit of a response. Version 2 gets a page:
 * `arguments.after` names the last model of the page before.
 */
export async function listModels(
  { arguments: { after }, answerTo }: AcceptedCommand,
  monitor: OllamaMonitor,
): Promise<Result> {
  if (after !== undefined && typeof after !== "string") {
    throw new CourierError("invalid", "Cannot list: arguments.after must be the name of a model");
  }
  // A listing of thousands of models takes Ollama seconds: the pages of one list come from one listing.
  const models = (after === undefined ? null : monitor.models) ?? (await monitor.listModels());
  if (answerTo.version === 1) return { models: models.map(withoutDetails) };
  const { kept, truncated } = firstThatFit("models", models.slice(models.findIndex(({ name }) => name === after) + 1));
  return { models: kept, ...truncated };
}

/** The fields of version 1: a legacy backend needs no more, and its list has no limit. */
function withoutDetails(model: Model): Model {
  return { ...model, details: undefined, capabilities: undefined };
}
