// The verb published_model: a model as its registry has it now, for readers that do not reach the registry themselves.
import { CourierError } from "../../base/errors.ts";
import type { AllowedRegistries } from "../../program/registry/allowed_registries.ts";
import type { Manifest } from "../../program/registry/manifest.ts";
import type { Response } from "../../protocol.ts";

export interface ManifestReader {
  /** @throws CourierError as `Registry.readManifest()` */
  readManifest(model: string): Promise<Manifest>;
}

interface Parts {
  readonly registries: Pick<AllowedRegistries, "requireAllowed">;
  readonly registry: ManifestReader | null;
}

/**
 * Asks the registries that pulls may use, and no mirror: what the share has is older, or somebody else's.
 * @throws CourierError as `Registry.readManifest()`; `forbidden` also when its registry is not allowed; `unavailable` also when
 * this box asks none
 */
export async function readPublished(
  model: string,
  { registries, registry }: Parts,
): Promise<Pick<Response, "published">> {
  registries.requireAllowed(model);
  if (registry === null)
    throw new CourierError("unavailable", "This box asks no registry (--preflight off, or --mirror only)");
  const { digest, totalBytes, weightsBytes = null } = await registry.readManifest(model);
  return { published: { digest, total_bytes: totalBytes, weights_bytes: weightsBytes } };
}
