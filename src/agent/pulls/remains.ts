// What a pull that ends early leaves on the disk, and how its job reports it.
import type { Clock } from "../../base/clock.ts";
import type { Job } from "../../protocol.ts";
import type { PulledBlobs, Stopped } from "../disk/pulled_blobs.ts";
import type { PullTracker } from "../ollama/pull_tracker.ts";

export interface RemainsDeps {
  readonly blobs: Pick<PulledBlobs, "bytes" | "untilStopped">;
  readonly clock: Pick<Clock, "sleep">;
}

/** Where Ollama's folder cannot be read: it notices within half a second that its connection is closed. */
const UNSEEN_GRACE_MS = 1000;

/** The error of a cancelled job, by what was seen of Ollama. */
const CANCELLED: Readonly<Record<Stopped | "nothing", string>> = {
  nothing: "Cancelled",
  stopped: "Cancelled: downloaded data remains on disk, and the next pull continues from there",
  growing: "Cancelled, but Ollama is still downloading the model: does another program pull it?",
  unseen: "Cancelled: the connection is closed. Ollama's folder cannot be read, so it is unknown what remains on disk",
};

export class Remains {
  readonly #deps: RemainsDeps;
  readonly #tracker: Pick<PullTracker, "layers">;

  constructor(deps: RemainsDeps, tracker: Pick<PullTracker, "layers">) {
    this.#deps = deps;
    this.#tracker = tracker;
  }

  /** Null: nothing, or it cannot be seen. */
  async bytes(): Promise<number | null> {
    return await this.#deps.blobs.bytes(this.#digests);
  }

  /** The end of a job that was cancelled while it ran: once Ollama was seen to have stopped. */
  async endStopped(): Promise<Partial<Job>> {
    const stopped = await this.#untilStopped();
    return await this.#cancelled(CANCELLED[stopped]);
  }

  /** The end of one that was queued. It may have run before a restart, or before it had to wait. */
  async endQueued(hasBegun: boolean): Promise<Partial<Job>> {
    const end = await this.#cancelled(hasBegun ? CANCELLED.nothing : "Cancelled before it began");
    return end.partial_bytes === null ? end : { ...end, error: CANCELLED.stopped };
  }

  async #untilStopped(): Promise<Stopped | "nothing"> {
    const { blobs, clock } = this.#deps;
    const digests = this.#digests;
    if (digests.length === 0) return "nothing";
    const stopped = await blobs.untilStopped(digests);
    if (stopped === "unseen") await clock.sleep(UNSEEN_GRACE_MS);
    return stopped;
  }

  async #cancelled(error: string): Promise<Partial<Job>> {
    return { state: "cancelled", code: "cancelled", error, partial_bytes: await this.bytes() };
  }

  get #digests(): string[] {
    return this.#tracker.layers.filter(({ fetched }) => fetched).map(({ digest }) => digest);
  }
}
