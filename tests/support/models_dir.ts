// A folder of models as Ollama lays it out on disk. Imports node:fs.
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** `sha256:` and 64 times that hex digit. */
export function digestOf(digit: string): string {
  return `sha256:${digit.repeat(64)}`;
}

export class ModelsDir {
  readonly path = mkdtempSync(join(tmpdir(), "agent-models-"));

  constructor() {
    mkdirSync(join(this.path, "blobs"));
    mkdirSync(join(this.path, "manifests"));
  }

  /** A manifest, at `host/namespace/model/tag`, of blobs by digit with their sizes; the blobs are not made. */
  manifest(path: string, layers: Readonly<Record<string, number>>): void {
    const blobs = Object.entries(layers).map(([digit, size]) => ({ digest: digestOf(digit), size }));
    this.file(join("manifests", path), JSON.stringify({ layers: blobs }));
  }

  /** A whole blob. */
  blob(digit: string, bytes: number): void {
    this.file(join("blobs", digestOf(digit).replace(":", "-")), Buffer.alloc(bytes, 1));
  }

  /** A blob begun: sparse, as long as the whole from its first byte. */
  partial(digit: string, bytes: number, wholeBytes: number): void {
    const path = join("blobs", `${digestOf(digit).replace(":", "-")}-partial`);
    this.file(path, Buffer.alloc(bytes, 1));
    truncateSync(join(this.path, path), wholeBytes);
  }

  file(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(join(this.path, path)), { recursive: true });
    writeFileSync(join(this.path, path), content);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
