// The file with a private key: created once, readable by its owner only.
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import {
  closeSync,
  existsSync,
  fchownSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { CourierError, systemCode } from "../base/errors.ts";
import { type SigningKey, signingKey } from "./keys.ts";

const NAME = "signing.key";

/**
 * The path of a program's private key: the one that systemd hands over (`LoadCredential=signing.key:...`), otherwise the one
 * in the program's folder.
 */
export function keyPath(folder: string): string {
  const given = join(credentials(), NAME);
  return existsSync(given) ? given : join(folder, NAME);
}

/**
 * The key in a file.
 * @returns null when there is no such file, or its folder is another user's, as after `sudo -u`
 * @throws CourierError `forbidden` when it may not be read, or other users may read it; `invalid` when it is not an Ed25519 key
 */
export function readKey(path: string): SigningKey | null {
  try {
    if (!isVisible(path)) return null;
    requirePrivate(path);
    return parseKey(readFileSync(path), path);
  } catch (error) {
    throw error instanceof CourierError ? error : failure("read", path, error);
  }
}

/**
 * The key in a file, which is created if it is missing. Root creates it for the owner of its folder, whose service reads it.
 * @throws CourierError as `readKey()`; `exhausted` when its disk is full; `forbidden` when it cannot be created otherwise
 */
export function ensureKey(path: string): SigningKey {
  const kept = readKey(path);
  if (kept !== null) return kept;
  const { privateKey } = generateKeyPairSync("ed25519");
  const draft = `${path}.${process.pid}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeDraft(draft, privateKey.export({ format: "pem", type: "pkcs8" }));
    // Unlike a rename it never replaces the key of another process.
    linkSync(draft, path);
    return signingKey(privateKey);
  } catch (error) {
    const created = systemCode(error) === "EEXIST" ? readKey(path) : null;
    if (created !== null) return created;
    throw failure("create", path, error);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** The folder of this service's credentials. No service has it elsewhere when there is no such variable. */
function credentials(): string {
  return process.env["CREDENTIALS_DIRECTORY"] || "/run/credentials/none";
}

/** systemd decides itself who may read the credentials of a service. */
function requirePrivate(path: string): void {
  const { mode } = statSync(path);
  if ((mode & 0o077) === 0 || dirname(path) === credentials()) return;
  throw new CourierError("forbidden", `Cannot use the key ${path}: other users may read it`, {
    hint: `If nobody else has read it: chmod 600 ${path}. Otherwise remove it, create a new one and replace its line on the boxes`,
  });
}

function parseKey(pem: Buffer, path: string): SigningKey {
  try {
    const privateKey = createPrivateKey(pem);
    if (privateKey.asymmetricKeyType === "ed25519") return signingKey(privateKey);
  } catch {
    // Reported below: the text of OpenSSL helps nobody.
  }
  throw new CourierError("invalid", `Cannot use the key ${path}: it is not an Ed25519 key`, {
    hint: "Remove the file, create a new key, and replace its line on the boxes",
  });
}

/** Whether the file is there. One in another user's folder, as after `sudo -u`, is not. */
export function isVisible(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(systemCode(error) ?? "")) return false;
    throw error;
  }
}

/** All by its descriptor: the folder is its owner's, who may put a link in place of the name when root creates the key. */
function writeDraft(path: string, pem: string | Buffer): void {
  const file = openSync(path, "wx", 0o600);
  try {
    const { uid, gid } = lstatSync(dirname(path));
    if (process.getuid?.() === 0 && uid !== 0) fchownSync(file, uid, gid);
    writeFileSync(file, pem);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function failure(action: "read" | "create", path: string, cause: unknown): CourierError {
  const code = systemCode(cause);
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return new CourierError(
    isFull ? "exhausted" : "forbidden",
    `Cannot ${action} the key ${path}: ${code ?? String(cause)}`,
    { hint: isFull ? "Free space on the disk of its folder" : "Run as the owner of its folder", cause },
  );
}
