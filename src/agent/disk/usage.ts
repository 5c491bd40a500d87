// Measures a models folder: each model, unfinished downloads, and blobs that no manifest names.
import { isoTime } from "../../base/clock.ts";
import type { Layer } from "../../program/registry/manifest.ts";
import type { DiskUsage, Leftover } from "../../protocol.ts";
import { isHelperName } from "../../transport/mirror/helper_name.ts";
import { presentBytes } from "./blob_files.ts";
import { type BlobGroup, namedBlobs, readBlobs, realBlobs } from "./leftovers.ts";
import { type InstalledModel, installedModels } from "./manifest_files.ts";
import type { Place } from "./models_folder.ts";
import { type Owners, ownersOf, type PullJobs } from "./pull_owners.ts";

/** Reads the whole folder. A model under a helper name counts, and is not listed. The lists are in order of names or digests, and complete. @throws system errors */
export async function readUsage({ dir, disk }: Place, jobs: PullJobs): Promise<DiskUsage> {
  const blobs = await realBlobs(dir);
  const partial = blobs === null ? [] : await readBlobs(blobs, "partial");
  const whole = blobs === null ? [] : await readBlobs(blobs, "orphan");
  const { digests, unread } = await namedBlobs(dir);
  const models: InstalledModel[] = [];
  for await (const model of installedModels(dir)) models.push(model);
  const present = blobs === null ? new Map<string, number>() : await presentLayers(blobs, models);
  const owners = ownersOf(jobs);
  const orphans = whole.filter(({ digest }) => !digests.has(digest));
  return {
    ...disk,
    models_bytes: sum([...present.values()]),
    partials_bytes: sum(partial.map(({ bytes }) => bytes)),
    orphans_bytes: sum(orphans.map(({ bytes }) => bytes)),
    models: modelsOnDisk(
      models.filter(({ name }) => !isHelperName(name)),
      present,
    ),
    partials: partial.map((group) => leftover(group, owners)),
    orphans: orphans.map((group) => leftover(group, owners)),
    ...(unread === null ? {} : { note: unreadNote(unread) }),
  };
}

/** `cannot read manifests/…: it may name some of the blobs` */
export function unreadNote(path: string): string {
  return `cannot read ${path}: it may name some of the blobs`;
}

async function presentLayers(blobs: string, models: readonly InstalledModel[]): Promise<Map<string, number>> {
  const layers = new Map<string, Layer>(models.flatMap((model) => model.layers.map((layer) => [layer.digest, layer])));
  const present = new Map<string, number>();
  for (const [digest, layer] of layers) present.set(digest, await presentBytes(blobs, layer));
  return present;
}

function modelsOnDisk(models: readonly InstalledModel[], present: ReadonlyMap<string, number>): DiskUsage["models"] {
  const users = new Map<string, number>();
  for (const { layers } of models) for (const { digest } of layers) users.set(digest, (users.get(digest) ?? 0) + 1);
  return models
    .map(({ name, layers }) => {
      const bytesOf = (isShared: boolean): number => {
        const counted = layers.filter(({ digest }) => (users.get(digest) ?? 0) > 1 === isShared);
        return sum(counted.map(({ digest }) => present.get(digest) ?? 0));
      };
      return { name, own_bytes: bytesOf(false), shared_bytes: bytesOf(true) };
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function leftover({ digest, bytes, changedAtMs }: BlobGroup, { ofDigest }: Owners): Leftover {
  const job = ofDigest.get(digest)?.job;
  return { digest, bytes, changed_at: isoTime(changedAtMs), job_id: job?.id ?? null, model: job?.model ?? null };
}

function sum(bytes: readonly number[]): number {
  return bytes.reduce((total, each) => total + each, 0);
}
