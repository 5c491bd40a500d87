// The disk and the memory of a simulated Ollama: models, blobs, unfinished blobs, loaded models.
import { decoderText } from "./body.ts";
import { type Layer, type Manifest, readManifest } from "./manifest.ts";
import type { ModelsDir } from "./models_dir.ts";
import { type Name, nameKey } from "./name.ts";

export interface Installed {
  readonly name: Name;
  readonly manifest: Manifest;
  readonly modifiedAtMs: number;
}

export interface Loaded {
  readonly model: Installed;
  readonly expiresAtMs: number;
}

export class Store {
  readonly #models = new Map<string, Installed>();
  readonly #loaded = new Map<string, Loaded>();
  /** Digest to size of every whole blob. */
  readonly #blobs = new Map<string, number>();
  /** Digest to bytes so far of every blob whose download was given up. */
  readonly #partials = new Map<string, number>();
  readonly #dir: ModelsDir | undefined;

  /** @param dir where it keeps its models over a restart; undefined: in memory */
  constructor(dir?: ModelsDir) {
    this.#dir = dir;
    for (const { name, text, modifiedAtMs } of dir?.manifests() ?? []) {
      if (!isJson(text)) continue;
      this.#models.set(nameKey(name), { name, manifest: readManifest(name, text), modifiedAtMs });
    }
  }

  /** The models, newest first. */
  list(): Installed[] {
    const readable = [...this.#models.values()].filter(({ name }) => this.damage(name) === null);
    return readable.toSorted((a, b) => b.modifiedAtMs - a.modifiedAtMs);
  }

  find(name: Name): Installed | undefined {
    return this.#models.get(nameKey(name));
  }

  /**
   * Writes a manifest, and those blobs that are not there. An existing name keeps its spelling.
   * @param blobs what a pull fetched: like the real one it never looks again at what was there when it began
   * @returns the digests that only the manifest it replaces used
   */
  install(name: Name, manifest: Manifest, blobs: readonly Layer[] = manifest.layers): string[] {
    const before = this.find(name);
    for (const layer of blobs) this.keepBlob(layer.digest, layer.size);
    const kept = before?.name ?? name;
    this.#dir?.writeManifest(kept, manifest.text);
    this.#models.set(nameKey(name), { name: kept, manifest, modifiedAtMs: Date.now() });
    return before === undefined ? [] : this.#dropUnused(before.manifest);
  }

  /** @returns false when there is no such model. A loaded one stays loaded. */
  remove(name: Name): boolean {
    const model = this.find(name);
    if (model === undefined) return false;
    this.#models.delete(nameKey(name));
    this.#dir?.removeManifest(model.name);
    this.#dropUnused(model.manifest);
    return true;
  }

  /** The error of the decoder for a manifest that somebody damaged on disk; null: it can be read. */
  damage(name: Name): string | null {
    const model = this.find(name);
    const text = model === undefined ? undefined : this.#dir?.manifestText(model.name);
    if (text === undefined || isJson(text)) return null;
    return decoderText(text);
  }

  blobBytes(digest: string): number | undefined {
    return this.#blobs.get(digest) ?? this.#dir?.blobBytes(digest);
  }

  keepBlob(digest: string, size: number): void {
    this.#partials.delete(digest);
    this.#blobs.set(digest, size);
    this.#dir?.makeBlob(digest, size);
  }

  /** Whether a blob is of the catalog: it was put here, not fetched. */
  isMadeUp(digest: string): boolean {
    return this.#blobs.has(digest);
  }

  dropBlob(digest: string): void {
    this.#blobs.delete(digest);
    this.#dir?.removeBlob(digest);
  }

  partialBytes(digest: string): number {
    return this.#partials.get(digest) ?? 0;
  }

  keepPartial(digest: string, bytes: number): void {
    this.#partials.set(digest, bytes);
  }

  load(model: Installed, keepAliveMs: number): void {
    const key = nameKey(model.name);
    if (keepAliveMs === 0) this.#loaded.delete(key);
    else this.#loaded.set(key, { model, expiresAtMs: Date.now() + keepAliveMs });
  }

  /** The loaded models, longest left first. */
  running(): Loaded[] {
    for (const [key, loaded] of this.#loaded) if (loaded.expiresAtMs <= Date.now()) this.#loaded.delete(key);
    return [...this.#loaded.values()].toSorted((a, b) => b.expiresAtMs - a.expiresAtMs);
  }

  #dropUnused(manifest: Manifest): string[] {
    const used = new Set([...this.#models.values()].flatMap((model) => model.manifest.layers.map((l) => l.digest)));
    const unused = manifest.layers.map((layer) => layer.digest).filter((digest) => !used.has(digest));
    for (const digest of unused) this.dropBlob(digest);
    return unused;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
