// A folder of models for tests that look into it, in the layout of the simulated Ollama.
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ModelsDir } from "#sim/ollama/models_dir.ts";
import { parseName } from "#sim/ollama/name.ts";

/** `sha256:` and 64 times that hex digit. */
export function digestOf(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}

export class ModelsFixture {
  readonly path = mkdtempSync(join(tmpdir(), "agent-models-"));
  readonly #dir = new ModelsDir(this.path);

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
