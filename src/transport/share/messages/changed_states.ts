// The state documents that changed since the last reading: each is delivered once, and only its facts are kept.
import type { StateReader, StateRecord } from "../../../transport.ts";
import type { Share } from "../share.ts";
import { type KnownState, lookAtStates, reportLeftOut } from "./state_looks.ts";

export class ChangedStates implements StateReader {
  readonly #share: Share;
  /** By file name. */
  #known: ReadonlyMap<string, KnownState> = new Map();
  #leftOut = 0;

  constructor(share: Share) {
    this.#share = share;
  }

  async read(changed: (record: StateRecord) => void): Promise<ReadonlySet<string>> {
    const found = new Map<string, KnownState>();
    const { looked, leftOut } = await lookAtStates(this.#share, this.#known, (name, seen) => {
      const known = seen === "same" || seen === "unknown" ? this.#known.get(name) : seen;
      if (known === undefined || known === "gone") return;
      found.set(name, { facts: known.facts, record: { agent: known.record.agent } });
      if (typeof seen === "object") changed(seen.record);
    });
    // One that is gone was removed since the listing, unless the whole folder is away.
    if (found.size < looked) await this.#share.folderAgain(this.#share.layout.status);
    reportLeftOut(this.#share, leftOut, this.#leftOut);
    this.#leftOut = leftOut;
    this.#known = found;
    return new Set([...found.values()].map(({ record }) => record.agent));
  }
}
