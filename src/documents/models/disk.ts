// The documents about the disks of boxes that `/v1` serves and `gpuctl --json` prints: disk and prune.
import { z } from "zod";
import type { CourierError } from "../../base/errors.ts";
import type { ShownPruned, ShownUsage } from "../../courier/disk.ts";
import { AgentName } from "../../protocol.ts";
import { Bytes, ErrorCode, Instant, orNull } from "../named.ts";

const LeftoverDocument = z
  .object({
    digest: z.string(),
    bytes: Bytes.meta({ description: "Of an unfinished file its allocated blocks" }),
    changed_at: Instant,
    job_id: z.string().nullable().meta({ description: "The newest job that fetched it; null: none that is kept" }),
    model: z.string().nullable().meta({ description: "The model of that job" }),
  })
  .meta({ id: "Leftover", description: "A blob that no manifest names." });

const Failed = { code: orNull(ErrorCode), error: z.string().nullable() };

const cutLists = z
  .array(z.string())
  .optional()
  .meta({ description: "The lists that are not whole, for want of room; missing: all are" });

const UsageDocument = z.object({
  path: z.string(),
  free_bytes: Bytes,
  total_bytes: Bytes,
  models_bytes: Bytes,
  partials_bytes: Bytes,
  orphans_bytes: Bytes,
  models: z.array(z.object({ name: z.string(), own_bytes: Bytes, shared_bytes: Bytes })),
  partials: z.array(LeftoverDocument).meta({ description: "Unfinished downloads" }),
  orphans: z.array(LeftoverDocument).meta({ description: "Whole blobs that no manifest names" }),
  note: z.string().optional().meta({ description: "Why `orphans` may be wrong; missing: they are right" }),
  truncated: cutLists,
});

export const DiskDocument = z
  .object({
    agents: z.array(z.object({ agent: AgentName, ...Failed, usage: UsageDocument.optional() })),
  })
  .meta({
    id: "DiskUsages",
    description:
      "What is on the disk of each agent's models. The sums are of everything, also where a list had to be cut; what models share counts once.",
  });
export type DiskDocument = z.infer<typeof DiskDocument>;

const PrunedBlobDocument = z.object({ kind: z.enum(["partial", "orphan"]), digest: z.string(), bytes: Bytes });

export const PrunedDocument = z
  .object({
    agents: z.array(
      z.object({
        agent: AgentName,
        ...Failed,
        pruned: z
          .object({
            dry_run: z.boolean(),
            bytes: Bytes,
            count: z.int().nonnegative(),
            removed: z.array(PrunedBlobDocument),
            kept: z.array(PrunedBlobDocument.extend({ reason: z.string() })),
            truncated: cutLists,
          })
          .optional()
          .meta({ description: "What was removed, or would be by a dry run, and what stays" }),
      }),
    ),
  })
  .meta({ id: "Pruned", description: "The result on each agent; `code` and `error` are null where it succeeded." });
export type PrunedDocument = z.infer<typeof PrunedDocument>;

interface AgentOutcome<Answer> {
  readonly agent: string;
  readonly answer?: Answer;
  readonly error?: CourierError;
}

export function diskDocument(outcomes: readonly AgentOutcome<ShownUsage>[]): DiskDocument {
  return {
    agents: outcomes.map((outcome) => {
      const { answer: usage } = outcome;
      return { ...outcomeOf(outcome), ...(usage === undefined ? {} : { usage }) };
    }),
  };
}

export function prunedDocument(outcomes: readonly AgentOutcome<ShownPruned>[]): PrunedDocument {
  return {
    agents: outcomes.map((outcome) => {
      const { answer: pruned } = outcome;
      return { ...outcomeOf(outcome), ...(pruned === undefined ? {} : { pruned }) };
    }),
  };
}

function outcomeOf({ agent, error }: AgentOutcome<unknown>) {
  return { agent, code: error?.code ?? null, error: error?.message ?? null };
}
