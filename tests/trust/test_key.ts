// Keys of senders for tests: always the same ones.
import { createPrivateKey } from "node:crypto";
import { type SigningKey, signingKey } from "#src/trust/keys.ts";

/** The DER of an Ed25519 private key (PKCS #8, RFC 8410) before its 32 raw bytes. */
const PKCS8_PREFIX = "302e020100300506032b657004220420";

/** The key whose private bytes are all this one. The golden vectors are signed by the default. */
export function testKey(byte = 1): SigningKey {
  const der = Buffer.from(PKCS8_PREFIX + Buffer.alloc(32, byte).toString("hex"), "hex");
  return signingKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
}
