// The documents about the mirror that `/v1` serves and `gpuctl --json` prints: its models, and the fetches that fill it.
import { z } from "zod";
import { formatModelName } from "../../base/model_name.ts";
import { compareTexts } from "../../base/order.ts";
import type { FleetModels } from "../../courier/models.ts";
import { listedDigests } from "../../program/registry/manifest.ts";
import { AgentName } from "../../protocol.ts";
import type { Listed, ListedModel } from "../../transport/mirror/listing.ts";
import { signerOf } from "../../trust/signed_model.ts";
import { Bytes, ErrorCode, Instant, orNull } from "../named.ts";
import { unavailableAgents, unavailableField } from "../unavailable.ts";

const MirroredModelDocument = z
  .object({
    name: z.string(),
    digest: orNull(z.string()).meta({ description: "Of its manifest; null: it cannot be read" }),
    size: orNull(Bytes),
    missing_blobs: z.int().nonnegative().meta({ description: "0: the model is complete" }),
    signed_by: orNull(z.string()).meta({
      description: "The id of the key in its signature, which only the boxes verify; null: it is not signed",
    }),
    agents: z.array(AgentName).meta({ description: "Those that have exactly this model" }),
    other_agents: z.array(AgentName).meta({ description: "Those that have another model under this name" }),
  })
  .meta({ id: "MirroredModel" });

export const MirrorDocument = z
  .object({
    folder: orNull(z.string()).meta({ description: "Null for a token that sees only some agents" }),
    bytes: Bytes.meta({ description: "Of all blobs: what several models share is counted once" }),
    models: z.array(MirroredModelDocument),
    unavailable: unavailableAgents,
  })
  .meta({ id: "Mirror" });
export type MirrorDocument = z.infer<typeof MirrorDocument>;

const FetchState = z.enum(["queued", "running", "succeeded", "failed", "cancelled"]).meta({
  id: "FetchState",
  description: "`queued` and `running` are active; the others are final.",
});

const FetchPull = z.object({
  agent: AgentName,
  job: orNull(z.string()).meta({
    description:
      "The id of its job, a failed one if the agent refused; null: not asked yet; empty: a legacy service has no ids",
  }),
  code: orNull(ErrorCode),
  error: orNull(z.string()),
});

export const FetchDocument = z
  .object({
    id: z.string(),
    agent: orNull(AgentName).meta({ description: "The agent that fetches; null: gpu-server itself" }),
    model: z.string(),
    state: FetchState,
    completed_bytes: Bytes,
    total_bytes: orNull(Bytes),
    bytes_per_second: orNull(Bytes),
    created_at: orNull(Instant),
    started_at: orNull(Instant),
    finished_at: orNull(Instant),
    code: orNull(ErrorCode),
    error: orNull(z.string()).meta({ description: "While it runs: why its last attempt failed" }),
    requested_by: orNull(z.string()),
    pulls: z
      .array(FetchPull)
      .optional()
      .meta({ description: "The pulls that follow it, of `via: mirror`. Only in the document of one fetch" }),
  })
  .meta({
    id: "Fetch",
    description:
      "A download of a model from its registry into the mirror. Bytes, bytes per second; null: unknown or not yet.",
  });
export type FetchDocument = z.infer<typeof FetchDocument>;

export const FetchesDocument = z
  .object({ fetches: z.array(FetchDocument), unavailable: unavailableAgents })
  .meta({ id: "Fetches" });
export type FetchesDocument = z.infer<typeof FetchesDocument>;

export const FreedDocument = z
  .object({
    model: z.string().optional().meta({ description: "Of a model that was removed" }),
    files: z.int().nonnegative(),
    bytes: Bytes,
  })
  .meta({ id: "Freed" });
export type FreedDocument = z.infer<typeof FreedDocument>;

/**
 * @param listed the mirror in this folder; null: the caller must not see where it is
 * @param fleet the models of the boxes: a box has exactly the mirror's if the digests are the same
 */
export function mirrorDocument(folder: string | null, listed: Listed, fleet: FleetModels): MirrorDocument {
  const bytes = [...listed.blobs.values()].reduce((sum, each) => sum + each, 0);
  // Ollama keeps upper and lower case, and ignores it when it compares names.
  const byName = Map.groupBy(fleet.models, ({ name }) => name.toLowerCase());
  const models = listed.models.map((model) => {
    const name = formatModelName(model.name);
    return mirroredDocument(name, model, byName.get(name.toLowerCase()) ?? []);
  });
  return { folder, bytes, models, ...unavailableField(fleet.unavailable) };
}

function mirroredDocument(
  name: string,
  { model, missing, signature }: ListedModel,
  held: FleetModels["models"],
): MirrorDocument["models"][number] {
  const same = new Set(model === null ? [] : listedDigests(model.text));
  const digest = model?.manifest.digest ?? null;
  return {
    name,
    digest,
    size: model?.manifest.totalBytes ?? null,
    missing_blobs: missing,
    signed_by: digest === null ? null : signerOf(signature, { name, digest }),
    agents: agentsOf(held.filter((one) => same.has(one.digest))),
    other_agents: agentsOf(held.filter((one) => !same.has(one.digest))),
  };
}

function agentsOf(models: FleetModels["models"]): string[] {
  return [...new Set(models.flatMap(({ agents }) => agents))].toSorted(compareTexts);
}
