// The verbs about an agent's disk as a sender knows them.
import { CourierError } from "../base/errors.ts";
import type { DiskUsage, Pruned, Response } from "../protocol.ts";

export interface PruneChoices {
  readonly partials?: boolean | undefined;
  readonly orphans?: boolean | undefined;
  /** Remove nothing. */
  readonly dryRun?: boolean | undefined;
}

/** The arguments of the command: only what was chosen. */
export function pruneArguments({ partials, orphans, dryRun }: PruneChoices): Record<string, boolean> {
  return {
    ...(partials === undefined ? {} : { partials }),
    ...(orphans === undefined ? {} : { orphans }),
    ...(dryRun === undefined ? {} : { dry_run: dryRun }),
  };
}

/** With the names of its lists that the agent had to cut; missing: all are whole. */
type Cut<Document> = Document & { readonly truncated?: string[] | undefined };
export type ShownUsage = Cut<DiskUsage>;
export type ShownPruned = Cut<Pruned>;

/** @throws CourierError `internal` for a response without it */
export function usageOf(agent: string, { disk_usage, truncated }: Response): ShownUsage {
  if (disk_usage === undefined) throw unreadable(agent, "disk_usage");
  return { ...disk_usage, ...cutLists("disk_usage", truncated) };
}

/** @throws CourierError `internal` for a response without it */
export function prunedOf(agent: string, { pruned, truncated }: Response): ShownPruned {
  if (pruned === undefined) throw unreadable(agent, "pruned");
  return { ...pruned, ...cutLists("pruned", truncated) };
}

/** The response names each list with its field in front. */
function cutLists(field: string, truncated: readonly string[] = []): { readonly truncated?: string[] } {
  const prefix = `${field}.`;
  const own = truncated.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return own.length === 0 ? {} : { truncated: own };
}

function unreadable(agent: string, field: string): CourierError {
  return new CourierError("internal", `${agent} answered without a ${field} that can be read`, {
    hint: "Update gpuctl and gpu-server to the version of that agent",
  });
}
