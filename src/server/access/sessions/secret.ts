// The secrets of sessions and sign-in links, and a token of the platform that only such a secret opens.
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";

const SECRET_BYTES = 32;
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = "aes-256-gcm";

/** @param kind begins as an own token does, so that people and secret scanners recognize it */
export function newSecret(kind: "gpuc_session_" | "gpuc_code_"): string {
  return `${kind}${randomBytes(SECRET_BYTES).toString("base64url")}`;
}

/** Plain SHA-256 is enough: a secret holds 256 random bits. */
export function hashOf(secret: string): Uint8Array {
  return createHash("sha256").update(secret).digest();
}

/** Only the secret opens it, which is not stored. */
export function seal(secret: string, text: string): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyOf(secret), nonce);
  const content = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), content]);
}

/** @throws when it was sealed with another secret */
export function unseal(secret: string, sealed: Uint8Array): string {
  const contentAt = NONCE_BYTES + TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, keyOf(secret), sealed.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, contentAt));
  return Buffer.concat([decipher.update(sealed.subarray(contentAt)), decipher.final()]).toString("utf8");
}

function keyOf(secret: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "", "gpu-courier session", KEY_BYTES));
}
