// A folder of models for tests that look into it, in the layout of the simulated Ollama.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ModelsDir } from "#sim/ollama/models_dir.ts";
import { parseName, showName } from "#sim/ollama/name.ts";
import { ModelsFolder, type ModelsFolderOptions } from "#src/agent/disk/models_folder.ts";
import type { Listing } from "#src/agent/disk/ownership.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import type { Model } from "#src/protocol.ts";

/** `sha256:` and 64 times that hex digit. */
export function digestOf(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}

export class ModelsFixture {
  readonly path = mkdtempSync(join(tmpdir(), "agent-models-"));
  readonly #dir = new ModelsDir(this.path);

  /** What Ollama lists of this folder. */
  listed(): Model[] {
    return this.#dir.manifests().map(({ name, text }) => {
      const digest = createHash("sha256").update(text).digest("hex");
      return { name: showName(name), size: 1, modified_at: "2026-01-01T00:00:00Z", digest };
    });
  }

  /** The folder as the agent of that Ollama knows it. */
  folder({ clock = systemClock, ...options }: ModelsFolderOptions & { readonly clock?: Clock } = {}): ModelsFolder {
    return folderOf(
      this.path,
      { models: null, listModels: async () => await Promise.resolve(this.listed()) },
      clock,
      options,
    );
  }

  /** A manifest of blobs by digit with their sizes; the blobs are not made. */
  manifest(model: string, layers: Readonly<Record<string, number>>): void {
    const name = parseName(model);
    if (name === null) throw new Error(`No model name: ${model}`);
    const blobs = Object.entries(layers).map(([digit, size]) => ({ digest: digestOf(digit), size }));
    this.#dir.writeManifest(name, JSON.stringify({ layers: blobs }));
  }

  /** A whole blob. */
  blob(digit: string, bytes: number): void {
    writeFileSync(this.#dir.blobPath(digestOf(digit)), Buffer.alloc(bytes, 1));
  }

  /** A blob begun: sparse, as long as the whole from its first byte. */
  partial(digit: string, bytes: number, wholeBytes: number): void {
    const path = `${this.#dir.blobPath(digestOf(digit))}-partial`;
    writeFileSync(path, Buffer.alloc(bytes, 1));
    truncateSync(path, wholeBytes);
  }

  /** The manifest's text. */
  read(model: string): string {
    const name = parseName(model);
    const found = this.#dir.manifests().find((each) => name !== null && showName(each.name) === showName(name));
    if (found === undefined) throw new Error(`No manifest: ${model}`);
    return found.text;
  }

  removeManifest(model: string): void {
    const name = parseName(model);
    if (name !== null) this.#dir.removeManifest(name);
  }

  removeBlob(digit: string): void {
    this.#dir.removeBlob(digestOf(digit));
  }

  file(path: string, content: string): void {
    mkdirSync(dirname(join(this.path, path)), { recursive: true });
    writeFileSync(join(this.path, path), content);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A models folder, as the agent of an Ollama with that list knows it. */
export function folderOf(
  modelsDir: string | undefined,
  listing: Listing = NO_MODELS,
  clock: Clock = systemClock,
  options: ModelsFolderOptions = {},
): ModelsFolder {
  return new ModelsFolder({ modelsDir, listing, clock, log: silentLog }, options);
}

const NO_MODELS: Listing = { models: [], listModels: async () => await Promise.resolve([]) };
