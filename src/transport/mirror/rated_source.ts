// A registry whose blobs come no faster than a rate, over all fetches together.
import type { Clock } from "../../base/clock.ts";
import { RateLimit } from "../../program/registry/rate_limit.ts";
import type { FetchingDeps } from "./fetching.ts";

type Source = FetchingDeps["source"];

/** @param bytesPerSecond null: as fast as it goes */
export function ratedSource(source: Source, bytesPerSecond: number | null, clock: Clock): Source {
  return bytesPerSecond === null ? source : new RatedSource(source, new RateLimit(bytesPerSecond, clock));
}

class RatedSource implements Source {
  readonly #source: Source;
  readonly #limit: RateLimit;

  constructor(source: Source, limit: RateLimit) {
    this.#source = source;
    this.#limit = limit;
  }

  async readManifest(...asked: Parameters<Source["readManifest"]>): Promise<string> {
    return await this.#source.readManifest(...asked);
  }

  async *readBlob(...asked: Parameters<Source["readBlob"]>): AsyncGenerator<Uint8Array> {
    const signal = asked[3];
    for await (const chunk of this.#source.readBlob(...asked)) {
      await this.#limit.take(chunk.byteLength, signal);
      if (signal.aborted) return;
      yield chunk;
    }
  }
}
