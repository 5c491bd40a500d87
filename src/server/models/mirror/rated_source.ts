// A registry whose blobs come no faster than a rate, over all fetches together.
import type { Clock } from "../../../base/clock.ts";
import type { FetchingDeps } from "../../../transport/mirror/fetching.ts";

type Source = FetchingDeps["source"];

export class RatedSource implements Source {
  readonly #source: Source;
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  /** When what was let through is due. */
  #dueAtMs = Number.NEGATIVE_INFINITY;

  constructor(source: Source, bytesPerSecond: number, clock: Clock) {
    this.#source = source;
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
  }

  async readManifest(...asked: Parameters<Source["readManifest"]>): Promise<string> {
    return await this.#source.readManifest(...asked);
  }

  async *readBlob(...asked: Parameters<Source["readBlob"]>): AsyncGenerator<Uint8Array> {
    const signal = asked[3];
    for await (const chunk of this.#source.readBlob(...asked)) {
      const nowMs = this.#clock.monotonic();
      this.#dueAtMs = Math.max(this.#dueAtMs, nowMs) + (chunk.byteLength / this.#bytesPerSecond) * 1000;
      await this.#clock.sleep(this.#dueAtMs - nowMs, signal);
      if (signal.aborted) return;
      yield chunk;
    }
  }
}
