// The layers of a model, as a manifest from a registry, from disk or from the share lists them. Untrusted.
import { createHash } from "node:crypto";
import { z } from "zod";
import { parseJson } from "../../base/foreign_text.ts";

/** A blob of a model: its digest as Ollama writes it, `sha256:` and 64 hex digits, and its size. */
export interface Layer {
  readonly digest: string;
  readonly bytes: number;
}

export interface Manifest {
  /** Of the text, in hex: two manifests with one digest are the same model. */
  readonly digest: string;
  /** Each blob once, the configuration too. */
  readonly layers: readonly Layer[];
  readonly totalBytes: number;
  /** Of the layers that are loaded into memory; missing: none is marked as such, as for a model that runs elsewhere. */
  readonly weightsBytes?: number;
}

/** Of one manifest as text; real ones have a few kB, those of many small tensors some hundred. */
export const MAX_MANIFEST_BYTES = 4_000_000;
const MAX_BLOB_BYTES = 2 ** 50;
/** Each is looked up on disk. */
const MAX_BLOBS = 20_000;

const Blob = z.object({
  digest: z.string().regex(/^sha256[:-][0-9a-fA-F]{64}$/),
  size: z.int().nonnegative().max(MAX_BLOB_BYTES),
});
/** The parts of a model that Ollama loads: the model, what it sees and hears with, adapters, and single tensors. */
const WEIGHTS = /^application\/vnd\.ollama\.image\.(?:model|projector|adapter|tensor)$/;
const LayerText = Blob.extend({ mediaType: z.string().optional().catch(undefined) });
/** Without a configuration its digest is empty. */
const NoBlob = z.object({ digest: z.literal("") });
const ManifestText = z.object({
  config: z.union([Blob, NoBlob]).optional(),
  layers: z.array(LayerText).max(MAX_BLOBS),
});

/** Reads a manifest. @returns null when Ollama could not pull it */
export function parseManifest(text: string): Manifest | null {
  const read = ManifestText.safeParse(parseJson(text));
  if (!read.success) return null;
  const { config, layers } = read.data;
  const blobs = config === undefined || config.digest === "" ? layers : [...layers, Blob.parse(config)];
  const found = distinct(blobs);
  const weights = distinct(layers.filter(({ mediaType }) => mediaType !== undefined && WEIGHTS.test(mediaType)));
  return {
    digest: sha256(text),
    layers: found,
    totalBytes: sum(found),
    ...(weights.length === 0 ? {} : { weightsBytes: sum(weights) }),
  };
}

function distinct(blobs: readonly z.infer<typeof Blob>[]): Layer[] {
  const sizes = new Map(blobs.map(({ digest, size }) => [digest.replace("-", ":"), size]));
  return [...sizes].map(([digest, bytes]) => ({ digest, bytes }));
}

function sum(layers: readonly Layer[]): number {
  return layers.reduce((total, { bytes }) => total + bytes, 0);
}

/** What Ollama may list as the digest of a manifest, in hex: its JSON decoder may leave out a line end behind the last brace. */
export function listedDigests(text: string): readonly string[] {
  return [sha256(text), sha256(text.trimEnd())];
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
