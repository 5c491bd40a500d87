// The agents' state documents: published by rename, listed at each reading, read again only when they changed.
import { LIMITS } from "../../../protocol.ts";
import type { StateRecord } from "../../../transport.ts";
import { publishFile } from "../files/publish.ts";
import { lookUpReplaced } from "../files/replaced.ts";
import { STATE_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { lookAtStates, type ReadState, reportLeftOut, stateRecord } from "./state_looks.ts";

export class States {
  readonly #share: Share;
  /** By file name, as last read. With a thousand agents most have not changed since. */
  #known = new Map<string, ReadState>();
  #leftOut = 0;

  constructor(share: Share) {
    this.#share = share;
  }

  async publish(agent: string, text: string): Promise<void> {
    await publishFile(this.#share, this.#share.layout.status, STATE_FILES.format(agent), text, {
      durable: false,
      clears: true,
    });
  }

  async readAll(): Promise<readonly StateRecord[]> {
    const found = new Map<string, ReadState>();
    const { looked, leftOut } = await lookAtStates(this.#share, this.#known, (name, seen) => {
      const known = seen === "same" || seen === "unknown" ? this.#known.get(name) : seen;
      if (known !== undefined && known !== "gone") found.set(name, known);
    });
    // One that is gone was removed since the listing, unless the whole folder is away.
    if (found.size < looked) await this.#share.folderAgain(this.#share.layout.status);
    reportLeftOut(this.#share, leftOut, this.#leftOut);
    this.#leftOut = leftOut;
    this.#known = found;
    return [...found.values()].map(({ record }) => record).toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  }

  /** @returns null when the agent has no document */
  async read(agent: string): Promise<StateRecord | null> {
    const found = await lookUpReplaced(
      this.#share,
      this.#share.layout.status,
      STATE_FILES.format(agent),
      LIMITS.stateBytes,
    );
    return found === null ? null : stateRecord(agent, found);
  }
}
