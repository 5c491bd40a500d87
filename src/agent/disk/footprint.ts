// What deleting a model frees: the blobs that no other model needs.
import { formatBytes } from "../../base/format.ts";
import { sameModel } from "../../base/model_name.ts";
import { isHelperName } from "../../transport/mirror/helper_name.ts";
import type { InstalledModel } from "./manifest_files.ts";
import type { ModelsFolder } from "./models_folder.ts";

/** The blobs on disk before a model is deleted. */
export interface Footprint {
  /**
   * The model; more than one where the disk holds spellings of its name that differ in case: Ollama compares without
   * regard to case, and deletes any of them.
   */
  readonly spellings: readonly InstalledModel[];
  /** By digest, how much was on disk. */
  readonly present: ReadonlyMap<string, number>;
}

export interface Freed {
  readonly freedBytes: number;
  /** Kept, because other models share them. */
  readonly sharedBytes: number;
  /** `9.1 GB freed, kept 12.0 kB shared with phi4:14b` */
  readonly text: string;
}

/** Looks at a model before it is deleted. @returns null when its manifest, or its blobs, cannot be read */
export async function readFootprint(folder: ModelsFolder, model: string): Promise<Footprint | null> {
  const spellings = (await folder.models())?.filter(({ name }) => sameModel(name, model)) ?? [];
  if (spellings.length === 0) return null;
  const present = await folder.present(spellings.flatMap(({ layers }) => layers));
  return present === null ? null : { spellings, present };
}

/** Looks again after the delete: what is gone, and what stays. @returns null when that cannot be read */
export async function measureFreed(folder: ModelsFolder, footprint: Footprint): Promise<Freed | null> {
  const models = await folder.models();
  const left = await folder.present(footprint.spellings.flatMap(({ layers }) => layers));
  if (models === null || left === null) return null;
  const { present } = footprint;
  const remaining = new Set(models.map(({ name }) => name));
  const deleted = footprint.spellings.filter(({ name }) => !remaining.has(name));
  const digests = [...new Set(deleted.flatMap(({ layers }) => layers.map(({ digest }) => digest)))];
  const sharedBytes = sum(digests, left);
  const freedBytes = Math.max(0, sum(digests, present) - sharedBytes);
  const sharers = models.filter(({ layers }) => layers.some(({ digest }) => digests.includes(digest)));
  const names = sharers.map(({ name }) => name).filter((name) => !isHelperName(name));
  return { freedBytes, sharedBytes, text: describe(freedBytes, sharedBytes, names.toSorted()) };
}

function sum(digests: readonly string[], bytes: ReadonlyMap<string, number>): number {
  return digests.reduce((total, digest) => total + (bytes.get(digest) ?? 0), 0);
}

function describe(freedBytes: number, sharedBytes: number, sharers: readonly string[]): string {
  const freed = `${freedBytes === 0 ? "nothing" : formatBytes(freedBytes)} freed`;
  if (sharedBytes === 0) return freed;
  const kept = `${freed}, kept ${formatBytes(sharedBytes)}`;
  const [first, ...rest] = sharers;
  if (first === undefined) return kept;
  const others = rest.length === 0 ? "" : ` and ${rest.length === 1 ? rest[0] : `${rest.length} more`}`;
  return `${kept} shared with ${first}${others}`;
}
