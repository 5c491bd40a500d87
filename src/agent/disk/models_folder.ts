// Ollama's models on the box's disk: where the blobs lie, which are there, which model needs which. Only looks.
// Imports manifest, model names, clock, errors, protocol; node:fs to ask.
import { type Dirent, existsSync, lstatSync, readdirSync } from "node:fs";
import { lstat, open, realpath, statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { systemCode } from "../../base/errors.ts";
import { formatModelName, type ModelName, parseModelName, sameModel } from "../../base/model_name.ts";
import type { Disk } from "../../protocol.ts";
import { type Layer, MAX_MANIFEST_BYTES, type Manifest, parseManifest } from "./manifest.ts";

/** A model as the disk has it: `name` in Ollama's form. */
export interface InstalledModel {
  readonly name: string;
  readonly layers: readonly Layer[];
}

/** What `stat` counts blocks in, whatever the file system. */
const BLOCK_BYTES = 512;
/** More than any box has; what lies beyond makes the whole unknown, never wrong. */
const MAX_MODELS = 10_000;

/** A disk that takes longer hangs, as one of a server does that is away: who asks it is held up for as long. */
const ANSWERS_WITHIN_MS = 2000;

export class ModelsFolder {
  readonly #given: string | undefined;
  readonly #askDisk: (path: string) => Promise<Omit<Disk, "path">>;
  #disk: Disk | null = null;
  #looking: Promise<Disk | null> | undefined;
  #hangs = false;

  /**
   * @param modelsDir where Ollama keeps its models; undefined: where its installer puts them, if one of these is there
   * @param askDisk the disk as an argument
   */
  constructor(modelsDir: string | undefined, askDisk = spaceOf) {
    this.#given = modelsDir;
    this.#askDisk = askDisk;
  }

  /** Where Ollama keeps its models; undefined: unknown, or its disk hangs, so that nothing may be asked of it. */
  get dir(): string | undefined {
    if (this.#hangs) return undefined;
    const usual = ["/usr/share/ollama/.ollama/models", join(homedir(), ".ollama", "models")];
    return this.#given ?? usual.find((path) => existsSync(path));
  }

  /** The disk that really holds the blobs, with the folder that was asked, as `look()` last saw it. */
  get disk(): Disk | null {
    return this.#disk;
  }

  /**
   * Looks at the disk. Takes at most 2 s: a disk that does not answer is asked nothing more until it has. Never rejects.
   * @returns null when it cannot be looked at
   */
  async look(clock: Clock): Promise<Disk | null> {
    this.#looking ??= this.#ask().finally(() => {
      this.#looking = undefined;
      this.#hangs = false;
    });
    const timer = new AbortController();
    const late = clock.sleep(ANSWERS_WITHIN_MS, timer.signal).then(() => "late" as const);
    const found = await Promise.race([this.#looking, late]);
    timer.abort();
    this.#hangs = found === "late" && this.#looking !== undefined;
    this.#disk = found === "late" ? null : found;
    return this.#disk;
  }

  /**
   * How much of each blob is on disk, by digest: all of it, or what of one begun is really allocated (it is sparse, as long
   * as the whole from its first byte), or 0.
   * @returns null when that cannot be looked at
   */
  async present(layers: readonly Layer[]): Promise<ReadonlyMap<string, number> | null> {
    try {
      const blobs = await this.#blobs();
      if (blobs === null) return null;
      const found = new Map<string, number>();
      for (const layer of layers) found.set(layer.digest, await presentBytes(blobs, layer));
      return found;
    } catch {
      return null;
    }
  }

  /** Every model with its layers; null when they cannot all be read: what is shared is unknown then. */
  async models(): Promise<readonly InstalledModel[] | null> {
    const { dir } = this;
    if (dir === undefined) return null;
    try {
      lstatSync(join(dir, "manifests"));
      const found: InstalledModel[] = [];
      for (const name of namesBelow(join(dir, "manifests"))) {
        if (found.length >= MAX_MODELS) return null;
        const manifest = await readManifest(join(dir, "manifests", name.host, name.namespace, name.model, name.tag));
        // Ollama, too, uses those that can be read.
        if (manifest !== null) found.push({ name: formatModelName(name), layers: manifest.layers });
      }
      return found;
    } catch {
      return null;
    }
  }

  /** Digests of blobs that an installed model needs and that are not there whole; none where that cannot be looked at. */
  async missing(model: string): Promise<readonly string[]> {
    const own = (await this.models())?.find(({ name }) => sameModel(name, model));
    const present = own === undefined ? null : await this.present(own.layers);
    const layers = own?.layers.filter(({ digest, bytes }) => (present?.get(digest) ?? bytes) < bytes) ?? [];
    return layers.map(({ digest }) => digest);
  }

  async #ask(): Promise<Disk | null> {
    try {
      const path = await this.#blobs();
      return path === null ? null : { path, ...(await this.#askDisk(path)) };
    } catch {
      // Not there yet, or closed to this user: null says so.
      return null;
    }
  }

  /** The blobs may lie on a disk of their own, so what counts is the folder that a link leads to. */
  async #blobs(): Promise<string | null> {
    const { dir } = this;
    if (dir === undefined) return null;
    const blobs = join(dir, "blobs");
    // A link that leads nowhere is one to a disk that is not mounted.
    return await realpath((await absent(lstat(blobs))) === null ? dir : blobs);
  }
}

async function spaceOf(path: string): Promise<Omit<Disk, "path">> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { free_bytes: bavail * bsize, total_bytes: blocks * bsize };
}

/** Names as folders spell them, `<host>/<namespace>/<model>/<tag>`; what is no name is none of Ollama's and left out. */
function* namesBelow(manifests: string): Generator<ModelName> {
  for (const host of entries(manifests, "folders")) {
    for (const namespace of entries(join(manifests, host), "folders")) {
      for (const model of entries(join(manifests, host, namespace), "folders")) {
        for (const tag of entries(join(manifests, host, namespace, model), "files")) {
          const name = nameOf(`${host}/${namespace}/${model}:${tag}`);
          if (name !== null) yield name;
        }
      }
    }
  }
}

/** None in a folder that is gone meanwhile: Ollama removes those that it empties. */
function entries(dir: string, kind: "folders" | "files"): string[] {
  let found: Dirent[] = [];
  try {
    found = readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
  return found.filter((entry) => (kind === "folders" ? entry.isDirectory() : entry.isFile())).map(({ name }) => name);
}

function nameOf(text: string): ModelName | null {
  try {
    return parseModelName(text);
  } catch {
    return null;
  }
}

/** Null when it was removed meanwhile, or is no manifest. */
async function readManifest(path: string): Promise<Manifest | null> {
  const file = await absent(open(path, "r"));
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    return size > MAX_MANIFEST_BYTES ? null : parseManifest(await file.readFile("utf8"));
  } finally {
    await file.close();
  }
}

async function presentBytes(blobs: string, { digest, bytes }: Layer): Promise<number> {
  const path = join(blobs, digest.replace(":", "-"));
  if ((await absent(lstat(path))) !== null) return bytes;
  const partial = await absent(lstat(`${path}-partial`));
  return Math.min(bytes, (partial?.blocks ?? 0) * BLOCK_BYTES);
}

/** Null when it is not there. */
async function absent<Value>(asked: Promise<Value>): Promise<Value | null> {
  try {
    return await asked;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
}
