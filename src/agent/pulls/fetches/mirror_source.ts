// This box as a source of the mirror: it has internet, and fetches models for the others.
import type { Clock } from "../../../base/clock.ts";
import { parseModelName } from "../../../base/model_name.ts";
import { type Fetched, type FetchingDeps, fetchModel } from "../../../transport/mirror/fetching.ts";
import type { FetchSource } from "./mirror_fetch.ts";

export interface MirrorSourceOptions extends Pick<FetchingDeps, "mirror" | "source"> {
  readonly clock: Clock;
}

export class MirrorSource implements FetchSource {
  readonly #options: MirrorSourceOptions;

  constructor(options: MirrorSourceOptions) {
    this.#options = options;
  }

  async fetch(model: string, signal: AbortSignal, onProgress: (progress: Fetched) => void): Promise<Fetched> {
    return await fetchModel(parseModelName(model), { ...this.#options, signal, onProgress });
  }
}
