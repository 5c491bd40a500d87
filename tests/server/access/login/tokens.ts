// Makes tokens of every kind, right and wrong, with the keys of this platform alone: not with the library that verifies them.
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

type Algorithm = "HS256" | "RS256" | "ES256" | "EdDSA";

export interface Signer {
  readonly algorithm: Algorithm;
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** As a JSON Web Key, with its `kid`. */
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly publicKey: KeyObject;
}

export function newSigner(algorithm: Exclude<Algorithm, "HS256">, kid: string): Signer {
  const { privateKey, publicKey } = newPair(algorithm);
  return { algorithm, kid, privateKey, publicKey, jwk: { ...publicKey.export({ format: "jwk" }), kid } };
}

/** @param claims as text: exactly so. @param header replaces fields of the usual one */
export function signed(claims: object | string, signer: Signer, header: object = {}): string {
  const text = unsigned({ alg: signer.algorithm, kid: signer.kid, ...header }, claims);
  return `${text}.${signatureOf(text, signer).toString("base64url")}`;
}

/** @param header replaces fields of the usual one */
export function signedWithSecret(
  claims: object,
  secret: string | Buffer,
  header: { readonly alg?: "HS256" | "HS512"; readonly kid?: string } = {},
): string {
  const text = unsigned({ alg: "HS256", typ: "JWT", ...header }, claims);
  return `${text}.${createHmac(header.alg === "HS512" ? "sha512" : "sha256", secret)
    .update(text)
    .digest("base64url")}`;
}

/** With the RSA key that RS256 is for. */
export function signedWithPss(claims: object, { kid, privateKey: key }: Signer): string {
  const text = unsigned({ alg: "PS256", kid }, claims);
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return `${text}.${sign("sha256", Buffer.from(text), { key, ...padding }).toString("base64url")}`;
}

/** The first two parts. */
export function unsigned(header: object, claims: object | string): string {
  const texts = [header, claims].map((part) => (typeof part === "string" ? part : JSON.stringify(part)));
  return texts.map((text) => Buffer.from(text).toString("base64url")).join(".");
}

function newPair(algorithm: Exclude<Algorithm, "HS256">) {
  if (algorithm === "RS256") return generateKeyPairSync("rsa", { modulusLength: 2048 });
  if (algorithm === "ES256") return generateKeyPairSync("ec", { namedCurve: "P-256" });
  return generateKeyPairSync("ed25519");
}

function signatureOf(text: string, { algorithm, privateKey: key }: Signer): Buffer {
  if (algorithm === "EdDSA") return sign(null, Buffer.from(text), key);
  return sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
}
