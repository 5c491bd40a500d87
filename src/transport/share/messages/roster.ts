// The roster on the share: one file, replaced by rename, and read again only when it changed.
import { join } from "node:path";
import { LIMITS } from "../../../protocol.ts";
import type { Content } from "../../../transport.ts";
import { type Facts, isGone, isSameFile } from "../calls/primitives.ts";
import { publishFile } from "../files/publish.ts";
import type { Found } from "../files/read.ts";
import { lookUpReplaced } from "../files/replaced.ts";
import type { Share } from "../share.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

export class RosterFile {
  readonly #share: Share;
  /** As last read. */
  #known: { readonly facts: Facts; readonly text: string } | null = null;

  constructor(share: Share) {
    this.#share = share;
  }

  async publish(text: string): Promise<void> {
    const { status, roster } = this.#share.layout;
    await publishFile(this.#share, status, roster, text, { durable: true, clears: true });
  }

  /** @returns null when nobody published one */
  async read(): Promise<Content | null> {
    const known = this.#known;
    if (known !== null && (await this.#isStill(known.facts))) return { text: known.text };
    const { status, roster } = this.#share.layout;
    const found = await lookUpReplaced(this.#share, status, roster, LIMITS.rosterBytes);
    const content = found === null ? null : contentOf(found);
    this.#known = found !== null && content !== null && "text" in content ? { facts: found.facts, ...content } : null;
    return content;
  }

  async #isStill(facts: Facts): Promise<boolean> {
    const { fs, isNetwork, layout } = this.#share;
    const { status, roster } = layout;
    // A network file system shows what was replaced only after a listing.
    if (isNetwork && !(await this.#share.namesIn(status)).has(roster)) return false;
    try {
      return isSameFile(await fs.lstat(join(status.path, roster)), facts);
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }
}

function contentOf(found: Found): Content {
  if (found.is === "refused") return { refused: found.reason };
  try {
    return { text: utf8.decode(found.bytes) };
  } catch {
    return { refused: "is not UTF-8" };
  }
}
