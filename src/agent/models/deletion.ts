// Deletes a model: not when it is protected; cancels its pull and unloads it first; measures what that frees.
import { CourierError } from "../../base/errors.ts";
import { formatBytes } from "../../base/format.ts";
import type { Protection } from "../../program/protection.ts";
import type { Job, Response } from "../../protocol.ts";
import { measureFreed, readFootprint } from "../disk/footprint.ts";
import type { ModelsFolder } from "../disk/models_folder.ts";
import type { OllamaMonitor } from "../ollama/monitor.ts";
import type { Ollama } from "../ollama/ollama.ts";
import type { Jobs } from "../pulls/jobs.ts";
import type { LateCommands } from "./late_commands.ts";
import type { Loads } from "./loads.ts";
import { isLoaded, type UnloadingParts, unload } from "./unloading.ts";

export interface DeletionParts extends UnloadingParts {
  readonly jobs: Pick<Jobs, "cancel">;
  readonly loads: Pick<Loads, "end">;
  readonly late: Pick<LateCommands, "isBrought" | "note">;
  readonly ollama: Pick<Ollama, "deleteModel" | "unloadModel">;
  readonly monitor: Pick<OllamaMonitor, "refresh" | "listRunning">;
  readonly models: ModelsFolder;
  readonly protection: Protection;
  /** When the delete was sent, and the time now, on the transport's clock. */
  readonly askedAtMs: number;
  readonly nowMs: number;
  /** When the command first ran, before a crash: "already gone" is then success. Null: it begins now. */
  readonly resumedSinceMs: number | null;
}

/**
 * Deletes a model. A pull of it is cancelled first: a deleted model must not come back. A loaded one is unloaded first: its
 * disk would not be freed. Resolves when the agent's lists show it. A delete that comes late leaves what was asked for after it.
 * @returns freed and shared bytes, null when unknown; or, if there was only a pull, its job as it ended
 * @throws CourierError `forbidden` when it is protected: nothing was done; `not_found`; `unavailable`
 */
export async function deleteModel(
  model: string,
  parts: DeletionParts,
): Promise<Pick<Response, "message" | "job" | "freed_bytes" | "shared_bytes">> {
  const { jobs, late, loads, ollama, monitor, models, protection, resumedSinceMs } = parts;
  protection.requireOpen("delete", model);
  if (late.isBrought(model, parts))
    return { message: `Model ${model} stays: a command that was sent later asks for it` };
  const cancelled = await jobs.cancel(model);
  const footprint = await readFootprint(models, model);
  let unloaded = true;
  try {
    loads.end(model);
    if (await isLoaded(model, monitor)) unloaded = await unload(model, parts);
    await ollama.deleteModel(model);
  } catch (error) {
    const missing = error instanceof CourierError && error.code === "not_found";
    if (missing) late.note("delete", model, parts);
    if (!missing || (cancelled === null && resumedSinceMs === null)) throw error;
    if (cancelled !== null) return { message: describeCancelled(cancelled), job: cancelled };
  }
  late.note("delete", model, parts);
  await monitor.refresh();
  const freed = footprint === null ? null : await measureFreed(models, footprint);
  const details = [
    ...(freed === null ? [] : [freed.text]),
    ...(cancelled !== null ? ["its pull was cancelled"] : []),
    ...(unloaded ? [] : ["it stays in memory until its current request finishes"]),
  ];
  return {
    message: `Successfully deleted model ${model}${details.length === 0 ? "" : `: ${details.join("; ")}`}`,
    freed_bytes: freed?.freedBytes ?? null,
    shared_bytes: freed?.sharedBytes ?? null,
  };
}

function describeCancelled({ model, partial_bytes }: Job): string {
  const remains = partial_bytes ? `; ${formatBytes(partial_bytes)} of it remain on disk for the next pull` : "";
  return `Cancelled the pull of model ${model}, which was not installed${remains}`;
}
