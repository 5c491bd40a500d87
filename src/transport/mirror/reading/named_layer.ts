// Finds a blob by its digest, if a model of the mirror has it: what nobody put there as a model's is not given away.
import type { ModelName } from "../../../base/model_name.ts";
import type { Layer } from "../../../program/registry/manifest.ts";
import { mirrorFailure } from "../failures.ts";
import { absent, HeldFolder } from "../held_folder.ts";
import { MANIFESTS, nameAt } from "../layout.ts";
import { type Mirror, readOrNull } from "../mirror.ts";

/** More than any model has: anyone who can write to the share may have made them. */
const MAX_TAGS = 200;

/**
 * @param name any tag of it may name the blob
 * @returns null when none does
 * @throws CourierError `unavailable` when the share cannot be read
 */
export async function namedLayer(
  mirror: Mirror,
  { host, namespace, model }: Omit<ModelName, "tag">,
  digest: string,
): Promise<Layer | null> {
  try {
    await using root = await absent(HeldFolder.openRoot(mirror.path, mirror.guard));
    await using folder = (await root?.folder(MANIFESTS, host, namespace, model)) ?? null;
    for (const { name: tag, kind } of ((await folder?.entries()) ?? []).slice(0, MAX_TAGS)) {
      const name = kind === "file" ? nameAt(host, namespace, model, tag) : null;
      const found = folder === null || name === null ? null : await readOrNull(folder, name);
      const layer = found?.manifest.layers.find((each) => each.digest === digest);
      if (layer !== undefined) return layer;
    }
    return null;
  } catch (error) {
    throw mirrorFailure("read the mirror", mirror.path, error);
  }
}
