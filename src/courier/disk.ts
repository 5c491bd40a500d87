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

/** What a response holds in the field of its verb. @throws CourierError `internal` for a response without it */
export function documentOf<Field extends "disk_usage" | "pruned" | "published">(
  agent: string,
  field: Field,
  response: Response,
): Cut<NonNullable<Response[Field]>> {
  const document = response[field];
  if (document !== undefined) return { ...document, ...cutLists(field, response.truncated) };
  throw new CourierError("internal", `${agent} answered without a ${field} that can be read`, {
    hint: "Update gpuctl and gpu-server to the version of that agent",
  });
}

/** The response names each list with its field in front. */
function cutLists(field: string, truncated: readonly string[] = []): { readonly truncated?: string[] } {
  const prefix = `${field}.`;
  const own = truncated.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return own.length === 0 ? {} : { truncated: own };
}
