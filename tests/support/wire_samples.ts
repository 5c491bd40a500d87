// The golden samples of the wire in tests/fixtures/wire. Add, never edit: all versions must parse forever.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dir, "../fixtures/wire");

/** The text of a sample, as it is on the share. @param path like `v1/status.json` */
export function sampleText(path: string): string {
  return readFileSync(join(FOLDER, path), "utf8");
}

export function sampleDocument(path: string): Record<string, unknown> {
  return JSON.parse(sampleText(path));
}

/** Paths of the samples of a version whose names begin so, sorted. */
export function samplePaths(version: "v1" | "v2", prefix = ""): string[] {
  const names = readdirSync(join(FOLDER, version)).filter((name) => name.startsWith(prefix));
  return names.toSorted().map((name) => `${version}/${name}`);
}
