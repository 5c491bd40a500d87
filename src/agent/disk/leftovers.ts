// All blobs in a folder by digest, and which of them a manifest names. Follows no links.
import type { Stats } from "node:fs";
import { lstat, readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { absent } from "./blob_files.ts";
import { readManifest } from "./manifest_files.ts";

/** The files of one blob: a whole one, or a download with Ollama's notes on its parts. */
export interface BlobGroup {
  /** `sha256:` and hex. */
  readonly digest: string;
  /** An orphan once no manifest names it. */
  readonly kind: "partial" | "orphan";
  /** In the order in which they may be removed: notes without their data would make Ollama skip what it has not got. */
  readonly files: readonly string[];
  /** Of a whole blob its length; of an unfinished one its allocated blocks: it is sparse. */
  readonly bytes: number;
  /** The newest change of any of them, also of a name: a copied file keeps the time at which it was written. */
  readonly changedAtMs: number;
}

/** What the manifests name. */
export interface Named {
  /** Also of the manifests themselves. */
  readonly digests: ReadonlySet<string>;
  /** A place below `manifests` that cannot be read: it may name anything. Null: all could be. */
  readonly unread: string | null;
}

const WHOLE = /^sha256-[0-9a-f]{64}$/;
const PART = /^sha256-[0-9a-f]{64}-partial(?:-\d{1,6})?$/;
const DIGEST_LENGTH = "sha256-".length + 64;
const BLOCK_BYTES = 512;
/** `manifests/<host>/<namespace>/<model>/<tag>`. */
const TAG_DEPTH = 4;

/** The folder that really holds the blobs; null before Ollama has made it. @throws system errors */
export async function realBlobs(modelsDir: string): Promise<string | null> {
  return await absent(realpath(join(modelsDir, "blobs")));
}

/** Those of one kind, in order of digests; other names, folders and links are left out. @throws system errors */
export async function readBlobs(blobs: string, kind: BlobGroup["kind"]): Promise<BlobGroup[]> {
  const groups = new Map<string, string[]>();
  for (const name of (await readdir(blobs)).toSorted()) {
    if (!(kind === "orphan" ? WHOLE : PART).test(name)) continue;
    const digest = name.slice(0, DIGEST_LENGTH).replace("-", ":");
    groups.set(digest, [...(groups.get(digest) ?? []), name]);
  }
  return await groupsOf(blobs, groups, kind);
}

/** One of them as it is now; null when it is gone. @throws system errors */
export async function readGroup(blobs: string, { digest, kind, files }: BlobGroup): Promise<BlobGroup | null> {
  const [found] = await groupsOf(blobs, new Map([[digest, [...files]]]), kind);
  return found ?? null;
}

async function groupsOf(
  blobs: string,
  byDigest: ReadonlyMap<string, readonly string[]>,
  kind: BlobGroup["kind"],
): Promise<BlobGroup[]> {
  const groups: BlobGroup[] = [];
  for (const [digest, names] of byDigest) {
    const found: { readonly name: string; readonly stats: Stats }[] = [];
    for (const name of names) {
      const stats = await absent(lstat(join(blobs, name)));
      if (stats?.isFile() === true) found.push({ name, stats });
    }
    if (found.length === 0) continue;
    const bytesOf = ({ size, blocks }: Stats): number => (kind === "orphan" ? size : blocks * BLOCK_BYTES);
    groups.push({
      digest,
      kind,
      files: found.map(({ name }) => name).toSorted((a, b) => b.length - a.length),
      bytes: found.reduce((sum, { stats }) => sum + bytesOf(stats), 0),
      changedAtMs: Math.max(...found.flatMap(({ stats }) => [stats.mtimeMs, stats.ctimeMs])),
    });
  }
  return groups;
}

/** Unlike a list of models, this notes what it cannot read. @throws system errors */
export async function namedBlobs(modelsDir: string): Promise<Named> {
  const digests = new Set<string>();
  const unread: string[] = [];
  const walk = async (path: string, depth: number): Promise<void> => {
    for (const entry of (await absent(readdir(join(modelsDir, path), { withFileTypes: true }))) ?? []) {
      const below = join(path, entry.name);
      if (depth < TAG_DEPTH && entry.isDirectory()) await walk(below, depth + 1);
      else if (depth < TAG_DEPTH || !entry.isFile() || !(await take(below))) unread.push(below);
    }
  };
  const take = async (path: string): Promise<boolean> => {
    const found = await readManifest(join(modelsDir, path));
    for (const { digest } of found?.manifest.layers ?? []) digests.add(digest.toLowerCase());
    for (const digest of found?.digests ?? []) digests.add(`sha256:${digest}`);
    return found !== null;
  };
  const root = join(modelsDir, "manifests");
  // A link that leads nowhere: its disk is not mounted.
  if ((await absent(lstat(root))) !== null && (await absent(realpath(root))) === null) unread.push("manifests");
  await walk("manifests", 1);
  return { digests, unread: unread[0] ?? null };
}
