// What a model takes on disk that others do not need: what its delete frees. Imports the models' folder, model names, format.
import { formatBytes } from "../../base/format.ts";
import { sameModel } from "../../base/model_name.ts";
import type { Layer } from "./manifest.ts";
import type { ModelsFolder } from "./models_folder.ts";

/** A model's blobs as they lie there before it is deleted. */
export interface Footprint {
  readonly layers: readonly Layer[];
  /** By digest, what was on disk. */
  readonly present: ReadonlyMap<string, number>;
  /** Other models that need some of it. */
  readonly sharers: readonly string[];
}

export interface Freed {
  readonly freedBytes: number;
  /** What stays: other models share it. */
  readonly sharedBytes: number;
  /** `9.1 GB freed, 12.0 kB stay: phi4:14b needs them too` */
  readonly text: string;
}

/** Looks at a model before it is deleted. @returns null when its manifest, or those of others, cannot be read */
export async function readFootprint(folder: ModelsFolder, model: string): Promise<Footprint | null> {
  const models = await folder.models();
  const own = models?.find(({ name }) => sameModel(name, model));
  if (models === null || own === undefined) return null;
  const present = await folder.present(own.layers);
  if (present === null) return null;
  const digests = new Set(own.layers.map(({ digest }) => digest));
  const others = models.filter((other) => other !== own && other.layers.some(({ digest }) => digests.has(digest)));
  return { layers: own.layers, present, sharers: others.map(({ name }) => name).toSorted() };
}

/** Looks again after the delete: what went, and what stays. @returns null when that cannot be looked at */
export async function measureFreed(folder: ModelsFolder, footprint: Footprint): Promise<Freed | null> {
  const left = await folder.present(footprint.layers);
  if (left === null) return null;
  const sharedBytes = sum(left);
  const freedBytes = Math.max(0, sum(footprint.present) - sharedBytes);
  return { freedBytes, sharedBytes, text: describe(freedBytes, sharedBytes, footprint.sharers) };
}

function sum(bytes: ReadonlyMap<string, number>): number {
  return [...bytes.values()].reduce((total, each) => total + each, 0);
}

function describe(freedBytes: number, sharedBytes: number, sharers: readonly string[]): string {
  const freed = `${freedBytes === 0 ? "nothing" : formatBytes(freedBytes)} freed`;
  if (sharedBytes === 0) return freed;
  const [first, ...rest] = sharers;
  const stays = `${freed}, ${formatBytes(sharedBytes)} stay`;
  if (first === undefined) return `${stays} on disk`;
  if (rest.length === 0) return `${stays}: ${first} needs them too`;
  return `${stays}: ${first} and ${rest.length === 1 ? rest[0] : `${rest.length} more`} need them too`;
}
