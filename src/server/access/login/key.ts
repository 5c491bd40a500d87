// A key that verifies tokens. Its algorithm is its own: what a token says about that is only compared.
import { type CryptoKey, importJWK } from "jose";
import { z } from "zod";
import { parseJson } from "../../../base/foreign_text.ts";

export interface VerificationKey {
  readonly algorithm: "HS256" | "RS256" | "ES256" | "EdDSA";
  readonly key: CryptoKey | Uint8Array;
}

/** Finds the key of a token. */
export interface Keys {
  /**
   * @param kid as the token names its key
   * @returns undefined when there is no such key
   * @throws CourierError `unavailable` when the keys cannot be read now
   */
  find(kid: string | undefined): Promise<VerificationKey | undefined>;
  /** @throws CourierError `unavailable` when the keys cannot be read now */
  check(): Promise<void>;
}

const MAX_KEYS = 100;
const MIN_RSA_BITS = 2048;
const Text = z.string().max(4_000);
const Common = z.object({
  kid: Text.optional(),
  use: z.literal("sig").optional(),
  key_ops: z.array(Text).max(10).optional(),
});
/** Public parts only: whatever else is in a key is left out. */
const Jwk = z.discriminatedUnion("kty", [
  Common.extend({ kty: z.literal("RSA"), alg: z.literal("RS256").optional(), n: Text, e: Text }),
  Common.extend({
    kty: z.literal("EC"),
    alg: z.literal("ES256").optional(),
    crv: z.literal("P-256"),
    x: Text,
    y: Text,
  }),
  Common.extend({ kty: z.literal("OKP"), alg: z.literal("EdDSA").optional(), crv: z.literal("Ed25519"), x: Text }),
]);
const JwkSet = z.object({ keys: z.array(z.unknown()).max(MAX_KEYS) });
const ALGORITHMS = { RSA: "RS256", EC: "ES256", OKP: "EdDSA" } as const;

/**
 * The keys of a JSON Web Key Set that verify RS256, ES256 or EdDSA; the others, such as symmetric ones, are passed over. Of
 * several with one `kid` the first counts.
 * @returns undefined when the text is no such set, or has no such key
 */
export async function parseKeySet(text: string): Promise<ReadonlyMap<string | undefined, VerificationKey> | undefined> {
  const set = JwkSet.safeParse(parseJson(text));
  if (!set.success) return undefined;
  const keys = new Map<string | undefined, VerificationKey>();
  for (const entry of set.data.keys) {
    const { kid, key } = (await parseKey(entry)) ?? {};
    if (key !== undefined && !keys.has(kid)) keys.set(kid, key);
  }
  return keys.size === 0 ? undefined : keys;
}

async function parseKey(entry: unknown): Promise<{ kid: string | undefined; key: VerificationKey } | undefined> {
  const jwk = Jwk.safeParse(entry);
  if (!jwk.success) return undefined;
  const { kid, use: _use, key_ops: operations, ...parts } = jwk.data;
  if (operations !== undefined && !operations.includes("verify")) return undefined;
  const algorithm = ALGORITHMS[parts.kty];
  try {
    const key = await importJWK({ ...parts, alg: algorithm }, algorithm);
    return isStrong(key) ? { kid, key: { algorithm, key } } : undefined;
  } catch {
    // Not a point of the curve, for example: as good as not there.
    return undefined;
  }
}

function isStrong(key: CryptoKey | Uint8Array): boolean {
  const bits: unknown = key instanceof Uint8Array ? undefined : Reflect.get(key.algorithm, "modulusLength");
  return typeof bits !== "number" || bits >= MIN_RSA_BITS;
}
