// The agents' state documents: published by rename, listed at each reading, read again only when they changed.
import { join } from "node:path";
import { LEGACY_SERVICE_AGENT, LIMITS } from "../../../protocol.ts";
import type { StateRecord } from "../../../transport.ts";
import { type Facts, isGone, isSameFile } from "../calls/primitives.ts";
import { publishFile } from "../files/publish.ts";
import { type Found, look, lookUp } from "../files/read.ts";
import { STATE_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../time/share_clock.ts";

interface Known {
  readonly facts: Facts;
  readonly record: StateRecord;
}

/** A reading yields to the event loop after this many documents. */
const FILES_A_TURN = 64;

export class States {
  readonly #share: Share;
  readonly #legacyServicePath: string;
  /** By file name, as last read. With a thousand agents most have not changed since. */
  #known = new Map<string, Known>();

  constructor(share: Share) {
    this.#share = share;
    this.#legacyServicePath = join(share.layout.status.path, STATE_FILES.format(LEGACY_SERVICE_AGENT));
  }

  async publish(agent: string, text: string): Promise<void> {
    await publishFile(this.#share, this.#share.layout.status, STATE_FILES.format(agent), text, { durable: false });
  }

  async readAll(): Promise<readonly StateRecord[]> {
    const { status } = this.#share.layout;
    await this.#share.folder(status);
    const names = [...(await this.#share.namesIn(status))].filter((name) => STATE_FILES.parse(name) !== null);
    const found = new Map<string, Known>();
    for (const [index, name] of names.entries()) {
      if (index % FILES_A_TURN === FILES_A_TURN - 1) await new Promise((resolve) => setImmediate(resolve));
      const known = await this.#look(name);
      if (known !== null) found.set(name, known);
    }
    // One that is gone was removed since the listing, unless the whole folder is away.
    if (found.size < names.length) await this.#share.folderAgain(status);
    this.#known = found;
    return [...found.values()].map(({ record }) => record).toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  }

  /** @returns null when the agent has no document */
  async read(agent: string): Promise<StateRecord | null> {
    const found = await lookUp(this.#share, this.#share.layout.status, STATE_FILES.format(agent), LIMITS.stateBytes);
    return found === null ? null : recordOf(agent, found);
  }

  /** @returns null when it is gone since the listing */
  async #look(name: string): Promise<Known | null> {
    const path = join(this.#share.layout.status.path, name);
    const known = this.#known.get(name);
    if (known !== undefined && (await this.#isUnchanged(path, known.facts))) return known;
    const found = await look(this.#share.fs, path, LIMITS.stateBytes, known?.facts);
    if (found.is === "same" || found.is === "unreadable") return known ?? null;
    const agent = STATE_FILES.parse(name);
    if (found.is === "gone" || agent === null) return null;
    return { facts: found.facts, record: recordOf(agent, found) };
  }

  /**
   * One call is enough: a rename puts another file in place. Only a legacy service writes in place, and then a network
   * file system shows new content only after an open.
   */
  async #isUnchanged(path: string, facts: Facts): Promise<boolean> {
    if (this.#share.isNetwork && path === this.#legacyServicePath) return false;
    try {
      return isSameFile(await this.#share.fs.lstat(path), facts);
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }
}

function recordOf(agent: string, found: Found): StateRecord {
  const content = found.is === "read" ? { text: found.bytes.toString("utf8") } : { refused: found.reason };
  return { agent, content, publishedAtMs: instantMs(found.facts.mtimeNs) };
}
