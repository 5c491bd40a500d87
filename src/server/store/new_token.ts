// Makes a token, and what is stored of it; and why one is refused.
import { createHash, randomBytes } from "node:crypto";
import { CourierError } from "../../base/errors.ts";

const TOKEN_BYTES = 32;
/** Lets people and secret scanners recognize a token. */
const PREFIX = "gpuc_";
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$/;

/** @throws CourierError `invalid` for a name that no token may have */
export function newToken(name: string): { readonly token: string; readonly hash: Uint8Array } {
  if (!NAME.test(name))
    throw new CourierError("invalid", `Cannot name a token ${JSON.stringify(name.slice(0, 80))}`, {
      hint: "Use 1 to 64 characters from A-Z, a-z, 0-9 and _ . @ -, not beginning with _ . @ or -",
    });
  const token = `${PREFIX}${randomBytes(TOKEN_BYTES).toString("base64url")}`;
  return { token, hash: hashOfToken(token) };
}

export function nameTaken(name: string): CourierError {
  return new CourierError("conflict", `A token named "${name}" already exists`, {
    hint: `Choose another name, or revoke it first: gpu-server token revoke ${name}`,
  });
}

export function unknownToken(name: string): CourierError {
  return new CourierError("not_found", `No token is named "${name}"`, { hint: "See: gpu-server token list" });
}

/** Plain SHA-256 is enough: a token holds 256 random bits, so guessing is hopeless. */
export function hashOfToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
