// A signed state document: whose key signed it, and its place in the order of the agent's documents.
import { fieldOf, parseJson } from "../../base/foreign_text.ts";
import { type PublicKey, parseRawKey } from "../keys.ts";
import { findSignature, isSignedBy, type Signature } from "../signature.ts";

export interface SignedState {
  readonly key: PublicKey;
  readonly boot: number;
  readonly sequence: number;
  /** By the transport's clock. */
  readonly publishedAtMs: number;
}

/**
 * Verifies the signature of a state document.
 * @param known the key that is expected; any other one is taken from the document, so that it proves only who signed it
 * @returns null for a document without a signature; a text with the fault of a document that is wrongly signed
 */
export function openSignedState(agent: string, text: string, known: PublicKey | null): SignedState | string | null {
  const signature = findSignature(text);
  if (signature === null) return null;
  const isByKnown = known !== null && known.id === signature.keyId;
  // What the known key did not sign is not parsed.
  if (isByKnown && !isSignedBy("state", signature, known)) return "its signature is wrong";
  const document = parseJson(signature.signed);
  const key = isByKnown ? known : signerOf(document, signature);
  if (key === null) return "its signature is wrong";
  if (fieldOf(document, "agent") !== agent) return "it is signed as the document of another agent";
  const [boot, sequence, publishedAtMs] = ["boot", "sequence", "published_at_ms"].map((name) =>
    fieldOf(document, name),
  );
  if (!isCount(boot) || !isCount(sequence) || !isInstant(publishedAtMs))
    return "it is signed, but lacks its boot, sequence or time";
  return { key, boot, sequence, publishedAtMs };
}

/** The key that a document names and that signed it. */
function signerOf(document: unknown, signature: Signature): PublicKey | null {
  const named = fieldOf(document, "key");
  const key = typeof named === "string" ? parseRawKey(named) : null;
  return key?.id === signature.keyId && isSignedBy("state", signature, key) ? key : null;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** One that a date can show. */
function isInstant(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= 8.64e15;
}
