// Unloads a model from memory.
import type { Clock } from "../../base/clock.ts";
import { sameModel } from "../../base/model_name.ts";
import type { OllamaMonitor } from "../ollama/monitor.ts";
import type { Ollama } from "../ollama/ollama.ts";

export interface UnloadingParts {
  readonly ollama: Pick<Ollama, "unloadModel">;
  readonly monitor: Pick<OllamaMonitor, "listRunning">;
  readonly clock: Clock;
}

const UNLOADED_WITHIN_MS = 5000;
const LOOK_MS = 100;

/**
 * Unloads a model, and waits up to 5 s until it is gone: Ollama first finishes the model's current requests.
 * @returns whether it is gone
 * @throws CourierError `not_found` when there is no such model; `unavailable`
 */
export async function unload(model: string, { ollama, monitor, clock }: UnloadingParts): Promise<boolean> {
  await ollama.unloadModel(model);
  const endsAtMs = clock.monotonic() + UNLOADED_WITHIN_MS;
  while (await isLoaded(model, monitor)) {
    if (clock.monotonic() >= endsAtMs) return false;
    await clock.sleep(LOOK_MS);
  }
  return true;
}

/** @throws CourierError `unavailable` when Ollama cannot be asked */
export async function isLoaded(model: string, monitor: UnloadingParts["monitor"]): Promise<boolean> {
  return (await monitor.listRunning()).some(({ name }) => sameModel(name, model));
}
