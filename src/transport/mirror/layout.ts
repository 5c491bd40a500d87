// Where the mirror has what, below the share: Ollama's own layout, so that a models folder can be copied there as it is.
import { type ModelName, parseModelName } from "../../base/model_name.ts";

/** The mirror's folder of a share. */
export const MIRROR = "gpu_models";
export const BLOBS = "blobs";
export const MANIFESTS = "manifests";
/** For files that are being written, on the same file system as the rest. */
export const TEMPORARY = ".tmp";

/** `sha256-` and 64 hex digits. @param digest as `parseManifest` returns it */
export function blobName(digest: string): string {
  return digest.replace(":", "-").toLowerCase();
}

/** The name that folders and a file in `manifests/` spell; null when Ollama would not take it. */
export function nameAt(host: string, namespace: string, model: string, tag: string): ModelName | null {
  try {
    const name = parseModelName(`${host}/${namespace}/${model}:${tag}`);
    const isSame = name.host === host && name.namespace === namespace && name.model === model && name.tag === tag;
    return isSame ? name : null;
  } catch {
    return null;
  }
}
