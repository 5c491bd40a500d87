// The disk of a box: its models, and what downloads and deletes left over.
import { z } from "zod";
import { extra, list } from "./fields.ts";
import { cut, TEXT_LIMITS } from "./text.ts";

const Bytes = z.number().nonnegative();
const NameText = z.string().max(1000);

/** A blob that no manifest names: what there is of a download, or a whole one. */
export const Leftover = z.object({
  /** `sha256:` and hex. */
  digest: z.string().max(128),
  /** Of an unfinished file its allocated blocks: it is sparse. */
  bytes: Bytes,
  /** When anything about its files last changed, ISO 8601 by the GPU machine's clock. */
  changed_at: z.string().max(64),
  /** The newest job that fetched it, and its model; null: none that the agent keeps. */
  job_id: z.string().max(128).nullable(),
  model: NameText.nullable(),
});

/** The whole folder. The lists may be cut; the sums are of everything. */
export const DiskUsage = z.object({
  /** The folder that really holds the blobs. */
  path: z.string().max(4096),
  free_bytes: Bytes,
  total_bytes: Bytes,
  /** All models together: what they share counts once. */
  models_bytes: Bytes,
  partials_bytes: Bytes,
  orphans_bytes: Bytes,
  /** Of each model what is on disk: blobs that only it has, and blobs that it shares. */
  models: list(z.object({ name: NameText, own_bytes: Bytes, shared_bytes: Bytes })),
  /** Unfinished downloads. */
  partials: list(Leftover),
  /** Whole blobs that no manifest names. */
  orphans: list(Leftover),
  /** Why `orphans` may be wrong, for people; missing: they are right. */
  note: extra(cut(TEXT_LIMITS.text)),
});

const PrunedBlob = z.object({ kind: z.enum(["partial", "orphan"]), digest: z.string().max(128), bytes: Bytes });

export const Pruned = z.object({
  /** Nothing was removed; `removed` and `bytes` are what would have been. */
  dry_run: z.boolean(),
  bytes: Bytes,
  count: z.int().nonnegative(),
  removed: list(PrunedBlob),
  /** The others, each with the reason why it stays. */
  kept: list(PrunedBlob.extend({ reason: cut(TEXT_LIMITS.text) })),
});
