// The models folder of a simulated Ollama, laid out like the real one: manifests, blobs, and what interrupted downloads left.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { type Name, parseName } from "./name.ts";

export interface StoredManifest {
  readonly name: Name;
  readonly text: string;
  readonly modifiedAtMs: number;
}

export class ModelsDir {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    for (const folder of ["blobs", "manifests"]) mkdirSync(join(path, folder), { recursive: true });
  }

  /** Of the whole blob; unfinished: `-partial` beside it, full length and sparse, and `-partial-N` for each part of it. */
  blobPath(digest: string): string {
    return join(this.#path, "blobs", digest.replace(":", "-"));
  }

  blobBytes(digest: string): number | undefined {
    return statSync(this.blobPath(digest), { throwIfNoEntry: false })?.size;
  }

  /** A blob that takes no room: models of the catalog have no content. */
  makeBlob(digest: string, size: number): void {
    if (existsSync(this.blobPath(digest))) return;
    writeFileSync(this.blobPath(digest), "");
    truncateSync(this.blobPath(digest), size);
  }

  removeBlob(digest: string): void {
    rmSync(this.blobPath(digest), { force: true });
  }

  manifests(): StoredManifest[] {
    const root = join(this.#path, "manifests");
    const paths = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return paths.flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      const [host = "", namespace = "", model = "", tag = ""] = relative(root, path).split("/");
      const name = parseName(`${host}/${namespace}/${model}:${tag}`);
      if (name === null) return [];
      return { name, text: readFileSync(path, "utf8"), modifiedAtMs: statSync(path).mtimeMs };
    });
  }

  /** Undefined when it does not exist. */
  manifestText(name: Name): string | undefined {
    const path = this.#manifestPath(name);
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  }

  writeManifest(name: Name, text: string): void {
    mkdirSync(dirname(this.#manifestPath(name)), { recursive: true });
    writeFileSync(this.#manifestPath(name), text);
  }

  removeManifest(name: Name): void {
    rmSync(this.#manifestPath(name), { force: true });
  }

  #manifestPath({ host, namespace, model, tag }: Name): string {
    return join(this.#path, "manifests", host, namespace, model, tag);
  }
}
