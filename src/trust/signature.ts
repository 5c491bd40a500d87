// The signature at the end of a document, over its exact bytes: no reader can take it for another document.
import { sign, verify } from "node:crypto";
import type { PublicKey, SigningKey } from "./keys.ts";

/** A signature of one kind of document is worth nothing under another. */
type Kind = "command" | "response" | "state" | "roster" | "mirror";

export interface Signature {
  readonly keyId: string;
  readonly value: Buffer;
  /** The document without it. */
  readonly signed: string;
}

const TAIL = /^,"signature":\{"key":"([0-9a-f]{16})","value":"([A-Za-z0-9_-]{86})"\}\}$/;
const TAIL_CHARACTERS = tail("0".repeat(16), "0".repeat(86)).length;

/** The bytes that a signature adds to a document. */
export const SIGNATURE_BYTES = TAIL_CHARACTERS - "}".length;

/**
 * Signs a document.
 * @param text a JSON object with at least one field
 * @returns the text with its signature as the last field
 */
export function signDocument(kind: Kind, text: string, { id, privateKey }: SigningKey): string {
  const value = sign(null, signedBytes(kind, text), privateKey).toString("base64url");
  return `${text.slice(0, -1)}${tail(id, value)}`;
}

/**
 * Finds the signature of a document by its last characters, without parsing it. It is not verified yet.
 * @returns null when the document is not signed
 * @see docs/protocol.md, Signatures
 */
export function findSignature(text: string): Signature | null {
  const end = endOf(text);
  const match = TAIL.exec(text.slice(Math.max(0, end - TAIL_CHARACTERS), end));
  if (match === null) return null;
  const [, keyId = "", value = ""] = match;
  return { keyId, value: Buffer.from(value, "base64url"), signed: `${text.slice(0, end - TAIL_CHARACTERS)}}` };
}

/** Whether the key made the signature. */
export function isSignedBy(kind: Kind, { signed, value }: Signature, { key }: PublicKey): boolean {
  // A text with half a surrogate pair stands for no bytes.
  return signed.isWellFormed() && verify(null, signedBytes(kind, signed), key, value);
}

/**
 * Whether a document is signed, and by this key.
 * @param key of a state: the one that it names itself, `parseRawKey(state.key)`. It shows who published the state, not that
 *   this is the agent; null: no such key
 * @returns `wrong` also for a signature by another key
 */
export function verifyDocument(kind: Kind, text: string, key: PublicKey | null): "signed" | "wrong" | "unsigned" {
  const signature = findSignature(text);
  if (signature === null) return "unsigned";
  return key !== null && key.id === signature.keyId && isSignedBy(kind, signature, key) ? "signed" : "wrong";
}

function signedBytes(kind: Kind, text: string): Buffer {
  return Buffer.from(`gpu-courier ${kind} 1\n${text}`);
}

function tail(keyId: string, value: string): string {
  return `,"signature":{"key":"${keyId}","value":"${value}"}}`;
}

/** Where the white space at the end begins. */
function endOf(text: string): number {
  let end = text.length;
  while (end > 0 && " \t\r\n".includes(text.charAt(end - 1))) end -= 1;
  return end;
}
