// The folder in which Ollama keeps its models: which one it is, whether it can be read, and what is in it. Never writes.

import { stat, statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Clock, within } from "../../base/clock.ts";
import { systemCode } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { sameModel } from "../../base/model_name.ts";
import type { Layer } from "../../program/registry/manifest.ts";
import type { Disk } from "../../protocol.ts";
import { absent, blobsFolder, presentBytes } from "./blob_files.ts";
import { type InstalledModel, installedModels } from "./manifest_files.ts";
import { type Listing, type Owner, Ownership } from "./ownership.ts";

export interface ModelsFolderDeps {
  /** Undefined: one of the usual folders, if it belongs to this Ollama. Null: none, and all of it is unknown. */
  readonly modelsDir: string | null | undefined;
  readonly listing: Listing;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ModelsFolderOptions {
  /** Where Ollama's installer, and a user's own Ollama, keep models. */
  readonly usualDirs?: readonly string[];
  /** Free and total bytes of the disk that holds this folder. */
  readonly askDisk?: (path: string) => Promise<Omit<Disk, "path">>;
}

/** Why the folder is unknown, for people. */
export interface Unknown {
  readonly message: string;
  readonly hint: string;
  /** The folder is there, but another Ollama's. */
  readonly isAnothers: boolean;
}

/** As it was found by one look. */
export interface Place {
  readonly dir: string;
  readonly disk: Disk;
}

const USUAL_DIRS = ["/usr/share/ollama/.ollama/models", join(homedir(), ".ollama", "models")];
/** A disk that takes longer hangs, like that of a file server that is away. */
const ANSWERS_WITHIN_MS = 2000;
/** Reading thousands of manifests takes longer than one question, but nobody waits forever for it. */
const READS_WITHIN_MS = 30_000;
/** More than any box has; with more, what is shared is unknown rather than wrong. */
const MAX_MODELS = 10_000;

const UNSEEN: Unknown = {
  message: "cannot read the models folder",
  hint: "Set --ollama-models to Ollama's models folder, and let this user read it",
  isAnothers: false,
};
const HANGS: Unknown = {
  message: "the disk of the models folder does not answer",
  hint: "Check its mount, and the file server it comes from",
  isAnothers: false,
};

const ANOTHERS_HINT =
  "Its models are not those that Ollama lists: set --ollama-models to the folder of the Ollama at --ollama";

export class ModelsFolder {
  readonly #deps: ModelsFolderDeps;
  /** The first that is this Ollama's counts. */
  readonly #dirs: readonly string[];
  readonly #askDisk: (path: string) => Promise<Omit<Disk, "path">>;
  readonly #ownership: Ownership;
  /** The look under way. It answers within 2 s; while its disk hangs it stays, so that nothing more is asked of that disk. */
  #looking: Promise<Place | Unknown> | undefined;
  #found: Place | Unknown = UNSEEN;
  #warnedOf: string | null = null;

  constructor(deps: ModelsFolderDeps, { usualDirs = USUAL_DIRS, askDisk = spaceOf }: ModelsFolderOptions = {}) {
    this.#deps = deps;
    this.#dirs = deps.modelsDir === undefined ? usualDirs : deps.modelsDir === null ? [] : [deps.modelsDir];
    this.#askDisk = askDisk;
    this.#ownership = new Ownership(deps.listing);
  }

  /** The disk that really holds the blobs, with the folder that was asked, as `look()` last saw it. */
  get disk(): Disk | null {
    return "disk" in this.#found ? this.#found.disk : null;
  }

  /** Why nothing is known of the folder, as `look()` last found; null when it is this Ollama's and can be read. */
  get unknown(): Unknown | null {
    return "disk" in this.#found ? null : this.#found;
  }

  /**
   * Finds the folder and looks at its disk. Takes at most 2 s: a disk that does not answer is asked nothing more until it
   * has. Never rejects.
   * @returns null when the folder cannot be read or belongs to another Ollama: `unknown` has the reason
   */
  async look(): Promise<Disk | null> {
    await this.#resolve();
    return this.disk;
  }

  /** The folder as it is now, or why it is unknown. Takes at most 2 s; never rejects. */
  async place(): Promise<Place | Unknown> {
    return await this.#resolve();
  }

  /**
   * Runs `read` on the folder that holds the blobs. Takes at most half a minute.
   * @returns null when the folder is unknown, or reading failed or took too long
   */
  async inBlobs<T>(read: (blobs: string) => Promise<T>): Promise<T | null> {
    return await this.#read(async ({ disk }) => await read(disk.path));
  }

  /**
   * How much of each blob is on disk, by digest: all of it, what is allocated of a partial one, or 0.
   * @returns null when that cannot be read
   */
  async present(layers: readonly Layer[]): Promise<ReadonlyMap<string, number> | null> {
    return await this.inBlobs(async (blobs) => {
      const found = new Map<string, number>();
      for (const layer of layers) found.set(layer.digest, await presentBytes(blobs, layer));
      return found;
    });
  }

  /** Every model with its layers; null when they cannot all be read: which layers are shared is unknown then. */
  async models(): Promise<readonly InstalledModel[] | null> {
    return await this.#read(async ({ dir }) => {
      const found: InstalledModel[] = [];
      for await (const model of installedModels(dir)) {
        if (found.length >= MAX_MODELS) return null;
        found.push(model);
      }
      return found;
    });
  }

  /**
   * Digests of blobs that an installed model needs and that are not whole on disk; none where that cannot be read. The
   * manifest counts only if it is the one that Ollama lists: another Ollama may have another model of that name.
   */
  async missing(model: string): Promise<readonly string[]> {
    const named = (await this.models())?.filter(({ name }) => sameModel(name, model)) ?? [];
    for (const installed of named) {
      const present = await this.present(installed.layers);
      const layers = installed.layers.filter(({ digest, bytes }) => (present?.get(digest) ?? bytes) < bytes);
      if (layers.length > 0 && (await this.#isListed(installed))) return layers.map(({ digest }) => digest);
    }
    return [];
  }

  /** Also of a model that Ollama does not list: it lists none whose configuration is gone. */
  async #isListed({ name, digests }: InstalledModel): Promise<boolean> {
    const models = await this.#deps.listing.listModels().catch(() => []);
    const listed = models.filter((model) => sameModel(model.name, name));
    return listed.length === 0 || listed.some(({ digest }) => digests.includes(digest.toLowerCase()));
  }

  async #read<T>(read: (place: Place) => Promise<T>): Promise<T | null> {
    // Found once for each look: a pull that is watched reads the folder five times a second.
    const found = this.#looking === undefined && "disk" in this.#found ? this.#found : await this.#resolve();
    if (!("disk" in found)) return null;
    return await within(this.#deps.clock, READS_WITHIN_MS, read(found).catch(unreadable), null);
  }

  async #resolve(): Promise<Place | Unknown> {
    this.#looking ??= this.#begin();
    return await this.#looking;
  }

  #begin(): Promise<Place | Unknown> {
    const asked = this.#find();
    const looking = within(this.#deps.clock, ANSWERS_WITHIN_MS, asked, HANGS).then((found) => this.#note(found));
    const over = async (): Promise<void> => {
      const found = await asked;
      await looking;
      this.#looking = undefined;
      // It may have come late: then the disk no longer hangs.
      this.#note(found);
    };
    void over();
    return looking;
  }

  /** The first of the folders that is this Ollama's; else the reason. Never rejects. */
  async #find(): Promise<Place | Unknown> {
    let unknown: Unknown | undefined;
    for (const dir of this.#dirs) {
      try {
        if ((await absent(stat(dir))) === null) continue;
        const owner = await this.#ownership.of(dir);
        if (owner === "ours") {
          const path = await blobsFolder(dir);
          return { dir, disk: { path, ...(await this.#askDisk(path)) } };
        }
        unknown ??= notOurs(dir, owner);
      } catch {
        // Closed to this user, or its disk is not mounted: another folder may be the right one.
      }
    }
    return unknown ?? UNSEEN;
  }

  #note(found: Place | Unknown): Place | Unknown {
    this.#found = found;
    const { log } = this.#deps;
    if ("disk" in found) {
      if (this.#warnedOf !== null) log.info({ dir: found.dir }, "Models folder found");
      this.#warnedOf = null;
    } else if (found.isAnothers && found.message !== this.#warnedOf) {
      log.warn({ hint: found.hint }, `Models folder not used: ${found.message}`);
      this.#warnedOf = found.message;
    }
    return found;
  }
}

function notOurs(dir: string, owner: Exclude<Owner, "ours">): Unknown {
  if (owner === "undecided") {
    const message = `Ollama has not listed its models yet, so it is unknown whether ${dir} is its folder`;
    return { message, hint: "Check that Ollama is running", isAnothers: false };
  }
  return { message: `${dir} is not the folder of this Ollama`, hint: ANOTHERS_HINT, isAnothers: true };
}

function unreadable(error: unknown): null {
  if (systemCode(error) === undefined) throw error;
  return null;
}

async function spaceOf(path: string): Promise<Omit<Disk, "path">> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { free_bytes: bavail * bsize, total_bytes: blocks * bsize };
}
