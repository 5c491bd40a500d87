// Whether a models folder belongs to the Ollama that the agent asks, or to another one on the same machine.
import type { Model } from "../../protocol.ts";
import { isHelperName } from "../../transport/mirror/helper_name.ts";
import { absent } from "./blob_files.ts";
import { installedModel, installedModels, nameOf } from "./manifest_files.ts";

/** What Ollama lists. */
export interface Listing {
  /** As last listed; null until Ollama has answered once. A new array for each answer. */
  readonly models: readonly Model[] | null;
  /** Lists again. @throws CourierError when Ollama cannot be asked */
  listModels(): Promise<readonly Model[]>;
}

/** `undecided`: Ollama has not listed its models yet. */
export type Owner = "ours" | "another's" | "undecided";

/** The newest models are enough: a folder that has none of them belongs to another Ollama. */
const MAX_COMPARED = 1000;

/** Decides once for each list that Ollama gives: every 15 s, and after each change made by the agent. */
export class Ownership {
  readonly #listing: Listing;
  /** By folder: the decision, and the list it is based on. */
  readonly #decided = new Map<string, { readonly models: readonly Model[]; readonly owner: Owner }>();

  constructor(listing: Listing) {
    this.#listing = listing;
  }

  /**
   * A folder is ours when it holds the manifest of a model that Ollama lists, with the same digest; or, while Ollama lists
   * no model, when it holds no manifest.
   * @throws system errors of the disk
   */
  async of(dir: string): Promise<Owner> {
    const { models } = this.#listing;
    const before = this.#decided.get(dir);
    if (models !== null) {
      if (before?.models === models) return before.owner;
      if (await matches(dir, models)) return this.#decide(dir, models, "ours");
      if (before?.owner === "another's") return this.#decide(dir, models, "another's");
    }
    // The list may be older than what the disk shows: a model was pulled or deleted since.
    const listed = await this.#listing.listModels().catch(() => null);
    if (listed === null) return before?.owner ?? "undecided";
    return this.#decide(dir, listed, (await matches(dir, listed)) ? "ours" : "another's");
  }

  #decide(dir: string, models: readonly Model[], owner: Owner): Owner {
    this.#decided.set(dir, { models, owner });
    return owner;
  }
}

async function matches(dir: string, models: readonly Model[]): Promise<boolean> {
  if (models.length === 0) return !(await holdsManifest(dir));
  for (const { name, digest } of models.slice(0, MAX_COMPARED)) {
    const parsed = nameOf(name);
    const installed = parsed === null ? null : await installedModel(dir, parsed);
    if (installed?.digests.includes(digest.toLowerCase()) === true) return true;
  }
  return false;
}

async function holdsManifest(dir: string): Promise<boolean> {
  return (await absent(hasModel(dir))) ?? false;
}

/** A pull from the mirror is under way under a helper name, which Ollama's list here leaves out. */
async function hasModel(dir: string): Promise<boolean> {
  for await (const { name } of installedModels(dir)) if (!isHelperName(name)) return true;
  return false;
}
