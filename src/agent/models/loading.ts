// Loads a model into memory.
import { CourierError } from "../../base/errors.ts";
import { isCloudName, sameModel } from "../../base/model_name.ts";
import type { Model, Response } from "../../protocol.ts";
import type { OllamaMonitor } from "../ollama/monitor.ts";
import type { Ollama } from "../ollama/ollama.ts";
import type { Loads } from "./loads.ts";

export interface LoadingParts {
  readonly loads: Pick<Loads, "run">;
  readonly ollama: Pick<Ollama, "loadModel">;
  readonly monitor: Pick<OllamaMonitor, "models" | "listModels" | "listRunning">;
}

/**
 * Loads a model, or lets a loaded one stay for longer. Resolves when the agent's lists show it.
 * @param keepAliveSeconds as Ollama takes it; undefined: as Ollama is set
 * @returns also the model's entry of the running ones, unless it is gone again
 * @throws CourierError `invalid` for a model that another machine runs; `conflict` when it is unloaded meanwhile; `not_found`; `unavailable`
 */
export async function loadModel(
  model: string,
  keepAliveSeconds: number | undefined,
  { loads, ollama, monitor }: LoadingParts,
): Promise<Pick<Response, "message" | "running">> {
  const isMeant = ({ name }: { readonly name: string }): boolean => sameModel(name, model);
  const listed = monitor.models?.find(isMeant) ?? (await monitor.listModels()).find(isMeant);
  requireOwn(model, listed);
  const bytes = listed?.size ?? 0;
  await loads.run(model, async (signal) => await ollama.loadModel(model, { keepAliveSeconds, bytes, signal }));
  const running = (await monitor.listRunning()).find(isMeant);
  return { message: `loaded ${model}`, ...(running === undefined ? {} : { running: [running] }) };
}

/** Ollama would have the model's own host generate something. */
function requireOwn(model: string, listed: Model | undefined): void {
  const host = isCloudName(model) ? "ollama.com" : listed?.remote_host;
  if (host === undefined) return;
  throw new CourierError("invalid", `Cannot load ${JSON.stringify(model)}: ${host} runs it, not this machine`);
}
