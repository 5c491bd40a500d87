// Reads the mirror's blobs whole and compares their digests: a disk or a copy may have damaged some since they were verified.
import { createHash } from "node:crypto";
import { unlink } from "node:fs/promises";
import { CourierError } from "../../../base/errors.ts";
import { formatModelName, type ModelName } from "../../../base/model_name.ts";
import type { Layer } from "../../../program/registry/manifest.ts";
import { mirrorFailure, noMirror } from "../failures.ts";
import { absent, HeldFolder } from "../held_folder.ts";
import { BLOBS, blobName } from "../layout.ts";
import { modelsIn } from "../listing.ts";
import type { Mirror, MirroredModel } from "../mirror.ts";

export interface VerifyingOptions {
  readonly mirror: Mirror;
  /** In Ollama's form; empty: all of them. */
  readonly models: readonly string[];
  /** Whether damaged blobs are removed: the next fetch or import brings them again, and no others. */
  readonly removes: boolean;
  readonly signal: AbortSignal;
  /** Called with the bytes that were read. Must not throw. */
  readonly onRead: (bytes: number) => void;
}

/** The result for one model: its blobs by digest. */
export interface VerifiedModel {
  readonly name: ModelName;
  /** Null: its manifest cannot be read. */
  readonly model: MirroredModel | null;
  readonly damaged: readonly string[];
  /** Those that are not there with their size, before anything was removed. */
  readonly missing: readonly string[];
}

type Verdict = "right" | "damaged" | "missing";

const CHUNK_BYTES = 1 << 20;

/**
 * One model after the other; a blob that several have is read once.
 * @throws CourierError `not_found` for a named model that is not there; `cancelled`; `unavailable`, `forbidden`
 */
export async function* verifyModels(options: VerifyingOptions): AsyncGenerator<VerifiedModel> {
  const { mirror } = options;
  const wanted = new Set(options.models.map((model) => model.toLowerCase()));
  const isNamed = wanted.size > 0;
  const verdicts = new Map<string, Verdict>();
  try {
    await using root = await absent(HeldFolder.openRoot(mirror.path, mirror.guard));
    if (root === null) throw noMirror(mirror.path);
    for await (const { name, model } of modelsIn(root)) {
      if (isNamed && !wanted.delete(formatModelName(name).toLowerCase())) continue;
      for (const layer of model?.manifest.layers ?? []) {
        const known = verdicts.get(layer.digest);
        if (known === undefined) verdicts.set(layer.digest, await verdictOf(root, layer, options));
      }
      const having = (verdict: Verdict): string[] =>
        (model?.manifest.layers ?? []).map(({ digest }) => digest).filter((each) => verdicts.get(each) === verdict);
      yield { name, model, damaged: having("damaged"), missing: having("missing") };
    }
  } catch (error) {
    throw mirrorFailure("read the mirror", mirror.path, error);
  }
  const [lost] = wanted;
  if (lost !== undefined)
    throw new CourierError("not_found", `The mirror has no ${lost}`, { hint: "gpuctl mirror list" });
}

async function verdictOf(
  root: HeldFolder,
  layer: Layer,
  { removes, signal, onRead }: VerifyingOptions,
): Promise<Verdict> {
  const name = blobName(layer.digest);
  await using blobs = await root.folder(BLOBS);
  const found = (await blobs?.file(name)) ?? null;
  if (blobs === null || found === null) return "missing";
  const before = await blobs.look(name);
  await using file = found.handle;
  if (found.bytes !== layer.bytes) return "missing";
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let at = 0; ; ) {
    if (signal.aborted) throw new CourierError("cancelled", "Cancelled");
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
    onRead(bytesRead);
  }
  if (`sha256:${hash.digest("hex")}` === layer.digest.toLowerCase()) return "right";
  // Somebody may have put the right one in its place meanwhile.
  const now = removes ? await blobs.look(name) : null;
  if (now !== null && now.modifiedAtMs === before?.modifiedAtMs) await absent(unlink(blobs.at(name)));
  return "damaged";
}
