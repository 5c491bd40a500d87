// What fetches have left unfinished in the mirror of a share.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { RegistrySite } from "#tests/process/site/registry_site.ts";
import { until } from "#tests/process/site/site.ts";

/** Bytes a second. */
const TRICKLE = 50_000;

/** Without the small files of writes that a kill has cut off: those stay for a week. */
export function unfinishedFiles(share: string): readonly string[] {
  const folder = join(share, "gpu_models", ".tmp");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => name.endsWith("-partial")).map((name) => join(folder, name));
}

/** A file that a fetch finishes meanwhile counts nothing. */
export function unfinishedBytes(share: string): number {
  const sizes = unfinishedFiles(share).map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/**
 * Resolves when a model's fetch has written what the registry has sent, which is hardly anything from then on: what is on its way
 * to a busy machine is lost when its program is killed. Set its speed when another program has started: until the registry notices
 * that the first one is gone, it counts what it sends to it.
 */
export async function caughtUp({ registry, share }: RegistrySite, model: string): Promise<void> {
  registry.setSpeed(model, TRICKLE);
  await until(() => registry.served(model).bytes - unfinishedBytes(share) < TRICKLE, `${model} is written`);
}
