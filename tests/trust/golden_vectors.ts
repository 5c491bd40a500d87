// Golden vectors: signed documents with the right verdict on each, and what a verifier in another language says.
import { expect } from "bun:test";
import { join } from "node:path";

export interface GoldenDocument {
  readonly name: string;
  readonly verdict: string;
  readonly base64: string;
}

interface Vectors<Document> {
  readonly key_ids: readonly string[];
  readonly trusted_keys: readonly string[];
  readonly documents: readonly Document[];
}

/** @param name of a file in tests/fixtures/wire/signed */
export async function readVectors<Document extends GoldenDocument = GoldenDocument>(
  name: string,
): Promise<Vectors<Document>> {
  return await Bun.file(pathOf(name)).json();
}

/** The ids of the keys of a file, and the verdict on each document, by ed25519.py. */
export function verdictsInPython(name: string): unknown {
  const verifier = join(import.meta.dir, "ed25519.py");
  const { stdout, stderr, exitCode } = Bun.spawnSync(["python3", verifier, pathOf(name)]);
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  return JSON.parse(stdout.toString());
}

function pathOf(name: string): string {
  return join(import.meta.dir, "../fixtures/wire/signed", name);
}
