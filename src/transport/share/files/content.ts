// A command or response as its file holds it: its key, and whether it is complete.
import { createHash } from "node:crypto";
import type { Content } from "../../../transport.ts";
import type { Found } from "./read.ts";

/** A complete or refused command or response. */
export interface Message {
  readonly id: string;
  readonly key: string;
  readonly content: Content;
  readonly mtimeNs: bigint;
}

/** `<id>~<16 hex>` over the bytes and the mtime in ns: equal for every reader and after a restart. */
export function deliveryKey(id: string, found: Found): string {
  const hash = createHash("sha256");
  hash.update(found.is === "read" ? found.bytes : `${found.reason}, ${found.facts.size} bytes`);
  return `${id}~${hash.update(`\0${found.facts.mtimeNs}`).digest("hex").slice(0, 16)}`;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The file's content; null while it is empty, half-written, not JSON at all, or not readable by this user. */
export function wholeContent(found: Found): Content | null {
  if (found.is === "refused") return found.denial === undefined ? { refused: found.reason } : null;
  try {
    const text = utf8.decode(found.bytes);
    JSON.parse(text);
    return { text };
  } catch {
    return null;
  }
}
