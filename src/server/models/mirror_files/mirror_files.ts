// The models of the mirror as files for boxes, and how many of them are sent at a time.
import type { Mirror } from "../../../transport/mirror/mirror.ts";
import { type Caller, describeCaller } from "../../access/caller.ts";
import { OpenCounts } from "../../limits/open_counts.ts";

/** Each has a file open, and a chunk of it in memory. A box reads 4 at a time. */
export const MAX_STREAMS = 64;
/** So that one box that misbehaves leaves room for others, where each has a token of its own. */
const MAX_STREAMS_OF_ONE = 32;

export class MirrorFiles {
  readonly mirror: Mirror;
  readonly #open = new OpenCounts();

  constructor(mirror: Mirror) {
    this.mirror = mirror;
  }

  /** How many blobs are being sent. */
  get total(): number {
    return this.#open.total;
  }

  /** Why no other blob is sent now; undefined: it is. */
  refusal(caller: Caller): string | undefined {
    if (this.#open.total >= MAX_STREAMS) return `No more than ${MAX_STREAMS} blobs are sent at a time`;
    if (this.#open.of(caller) < MAX_STREAMS_OF_ONE) return undefined;
    return `${describeCaller(caller)} already reads ${MAX_STREAMS_OF_ONE} blobs`;
  }

  /** Counts one in. @returns what counts it out */
  add(caller: Caller): () => void {
    return this.#open.add(caller);
  }
}
