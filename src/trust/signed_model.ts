// The signed part of a model in the mirror: that this name is this manifest.
import { z } from "zod";
import { parseJson } from "../base/foreign_text.ts";
import type { SigningKey } from "./keys.ts";
import { findSignature, isSignedBy, signDocument } from "./signature.ts";
import type { TrustedKey } from "./trusted_keys.ts";

const SignedModel = z.object({ name: z.string(), digest: z.string(), signed_at: z.string() });

/** A model's name in Ollama's form, and the hex digest of its manifest. */
export interface ModelIdentity {
  readonly name: string;
  readonly digest: string;
}

/** @param signedAt for people: a signature does not end */
export function signModel({ name, digest }: ModelIdentity, signedAt: string, key: SigningKey): string {
  return signDocument("mirror", JSON.stringify({ name, digest, signed_at: signedAt }), key);
}

/**
 * The id of the key that seems to have signed this model: who is not to decide anything by it need not have the key.
 * @returns null when the text is no signature of this model
 */
export function signerOf(text: string | null, model: ModelIdentity): string | null {
  const signature = text === null ? null : findSignature(text);
  return signature !== null && isOf(signature.signed, model) ? signature.keyId : null;
}

/**
 * Why this text does not sign this model; null: it does.
 * @param find the key of an id, as it is trusted now
 */
export function signatureFault(
  text: string | null,
  model: ModelIdentity,
  find: (id: string) => TrustedKey | undefined,
  nowMs: number,
): string | null {
  const signature = text === null ? null : findSignature(text);
  if (text === null || signature === null) return "it is not signed";
  const key = find(signature.keyId);
  if (key === undefined) return `the key ${signature.keyId}, which signed it, is not trusted here`;
  if (key.endsAtMs !== null && nowMs >= key.endsAtMs) return `the key ${key.id}, which signed it, is no longer valid`;
  if (key.verbs !== null && !key.verbs.has("mirror")) return `the key ${key.id}, which signed it, lacks verbs=mirror`;
  if (!isSignedBy("mirror", signature, key)) return "its signature is wrong";
  return isOf(signature.signed, model) ? null : "its signature is that of another model";
}

function isOf(text: string, { name, digest }: ModelIdentity): boolean {
  const signed = SignedModel.safeParse(parseJson(text));
  return signed.data?.name.toLowerCase() === name.toLowerCase() && signed.data.digest === digest;
}
