// The file with a private key.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asCourierError } from "#src/base/errors.ts";
import { ensureKey, keyPath, readKey } from "#src/trust/key_file.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "key-file-"));
});
afterEach(() => {
  delete process.env["CREDENTIALS_DIRECTORY"];
  rmSync(dir, { recursive: true, force: true });
});

function codeOf(call: () => unknown): string {
  try {
    return String(call());
  } catch (error) {
    return asCourierError(error).code;
  }
}

test("ensureKey() creates a key once, for its owner only, and leaves nothing else", () => {
  const path = join(dir, "deep", "signing.key");
  expect(readKey(path)).toBeNull();
  const created = ensureKey(path);
  expect([ensureKey(path).id, readKey(path)?.id]).toEqual([created.id, created.id]);
  expect([statSync(path).mode & 0o777, statSync(join(dir, "deep")).mode & 0o777]).toEqual([0o600, 0o700]);
  expect(readdirSync(join(dir, "deep"))).toEqual(["signing.key"]);
});

test("readKey() refuses a key that other users may read, and a file that is no Ed25519 key", () => {
  const path = join(dir, "signing.key");
  ensureKey(path);
  chmodSync(path, 0o640);
  expect(codeOf(() => readKey(path))).toBe("forbidden");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  for (const text of ["", "nonsense", privateKey.export({ format: "pem", type: "pkcs8" })]) {
    writeFileSync(path, text);
    chmodSync(path, 0o600);
    expect(codeOf(() => readKey(path))).toBe("invalid");
    expect(codeOf(() => ensureKey(path))).toBe("invalid");
  }
});

test("keyPath() prefers the key that systemd hands over, whose group may read it", () => {
  const credentials = join(dir, "credentials");
  process.env["CREDENTIALS_DIRECTORY"] = credentials;
  expect(keyPath(dir)).toBe(join(dir, "signing.key"));
  mkdirSync(credentials);
  const { id } = ensureKey(join(credentials, "signing.key"));
  chmodSync(join(credentials, "signing.key"), 0o440);
  expect(readKey(keyPath(dir))?.id).toBe(id);
});
