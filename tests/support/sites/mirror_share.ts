// A share with a mirror, and a models folder with models of real bytes to fill it from.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Mirror } from "#src/transport/mirror/mirror.ts";

/** A model whose manifest is `text`, with its blobs by digest. */
export interface FolderModel {
  readonly text: string;
  readonly blobs: ReadonlyMap<string, Buffer>;
}

export class MirrorShare implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), "mirror-"));
  readonly share = join(this.root, "share");
  readonly models = join(this.root, "models");
  readonly mirror: Mirror;

  constructor() {
    for (const dir of [this.share, this.models]) mkdirSync(dir);
    this.mirror = new Mirror(this.share);
  }

  /** The path of something in the mirror. */
  at(...parts: readonly string[]): string {
    return join(this.share, "gpu_models", ...parts);
  }

  /** Puts a model with these contents into the models folder. @param path `registry.ollama.ai/library/phi4/latest` */
  model(path: string, contents: readonly string[], into = this.models): FolderModel {
    const blobs = new Map(contents.map((content) => [digestOf(content), Buffer.from(content)]));
    const layers = [...blobs].map(([digest, { length: size }]) => ({ digest, size }));
    const text = JSON.stringify({ schemaVersion: 2, config: layers[0], layers: layers.slice(1) });
    const file = join(into, "manifests", path);
    mkdirSync(join(file, ".."), { recursive: true });
    mkdirSync(join(into, "blobs"), { recursive: true });
    writeFileSync(file, text);
    for (const [digest, content] of blobs) writeFileSync(join(into, "blobs", digest.replace(":", "-")), content);
    return { text, blobs };
  }

  /** As if somebody had copied a models folder there. */
  mirrored(path: string, contents: readonly string[]): FolderModel {
    return this.model(path, contents, this.at());
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export function digestOf(content: string | Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
