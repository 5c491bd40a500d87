// Ed25519 keys: how they are named and written.
import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { isLowOrder } from "./low_order.ts";

/** The DER of an Ed25519 public key (SPKI, RFC 8410) before its 32 raw bytes. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** The standard base64 of 32 bytes. */
const RAW_KEY = /^[A-Za-z0-9+/]{43}=$/;

export interface PublicKey {
  /** The first 16 hex digits of a SHA-256 over the key as SPKI. */
  readonly id: string;
  readonly key: KeyObject;
}

/** A key that signs. It never leaves its machine. */
export interface SigningKey extends PublicKey {
  readonly privateKey: KeyObject;
}

/** @param raw its 32 bytes */
function publicKey(raw: Uint8Array): PublicKey {
  const spki = Buffer.concat([SPKI_PREFIX, raw]);
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  return { id: createHash("sha256").update(spki).digest("hex").slice(0, 16), key };
}

/**
 * @param text the base64 of its 32 bytes, as `rawKey()` writes it
 * @returns null when it is anything else, or a key with which anybody could sign
 */
export function parseRawKey(text: string): PublicKey | null {
  const bytes = Buffer.from(text, "base64");
  const isKey = RAW_KEY.test(text) && bytes.toString("base64") === text && !isLowOrder(bytes);
  return isKey ? publicKey(bytes) : null;
}

/** The key as a state document and a `trusted_keys` file have it: the base64 of its 32 bytes, 44 characters. */
export function rawKey({ key }: PublicKey): string {
  return rawBytes(key).toString("base64");
}

/** @param privateKey an Ed25519 key */
export function signingKey(privateKey: KeyObject): SigningKey {
  return { ...publicKey(rawBytes(createPublicKey(privateKey))), privateKey };
}

/** The key as a line of a `trusted_keys` file. @param comment such as `server@platform`; made into one word */
export function publicLine(key: PublicKey, comment: string): string {
  return `ed25519 ${rawKey(key)} ${comment.replaceAll(/[^\w.@-]+/g, "-")}`;
}

function rawBytes(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "spki" }).subarray(SPKI_PREFIX.length);
}
