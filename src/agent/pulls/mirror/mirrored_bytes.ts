// The bytes of a model as the mirror has them.
import { CourierError } from "../../../base/errors.ts";
import { formatModelName } from "../../../base/model_name.ts";
import type { Layer } from "../../../program/registry/manifest.ts";
import type { MirroredModel } from "../../../transport/mirror/mirror.ts";
import type { OpenFile } from "../../../transport/mirror/reading/guard.ts";
import type { MirrorReader, WantedPart } from "../../../transport/mirror/reading/reader.ts";
import type { ModelBytes } from "./model_bytes.ts";

const CHUNK_BYTES = 1 << 20;

export function mirroredBytes(
  mirror: Pick<MirrorReader, "openBlob">,
  { name, text, manifest }: MirroredModel,
  avoid = async (): Promise<boolean> => await Promise.resolve(false),
): ModelBytes {
  return {
    text,
    layers: manifest.layers,
    place: {
      name: "the mirror",
      unreadableHint: "Can this machine read gpu_models on the share?",
      damaged: {
        reason: "the mirror's copy is damaged",
        hint: `Where the mirror is: gpuctl mirror verify --remove-damaged ${formatModelName(name)}, then add or import it again`,
        avoid,
      },
    },
    read: (layer, from, to, signal) => readBlob(mirror, layer, { name, from, to, signal }),
  };
}

async function* readBlob(
  mirror: Pick<MirrorReader, "openBlob">,
  layer: Layer,
  part: WantedPart,
): AsyncGenerator<Uint8Array, void> {
  await using file = await mirror.openBlob(layer, part);
  const { from, to } = part;
  if (file === null) throw new CourierError("not_found", `The mirror has no ${layer.digest} of this size`);
  for (let at = from; at < to; ) {
    const chunk = await readChunk(file, at, to);
    // Shorter than a moment ago.
    if (chunk.length === 0) throw new CourierError("unavailable", `The mirror's ${layer.digest} ends too early`);
    at += chunk.length;
    yield chunk;
  }
}

async function readChunk(file: OpenFile, at: number, to: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, to - at));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
  return buffer.subarray(0, bytesRead);
}
