// Removes models under helper names that a crash has left in Ollama, once no pull needs them.
import type { Clock } from "../../../base/clock.ts";
import type { Job } from "../../../protocol.ts";
import type { Ollama } from "../../ollama/ollama.ts";
import type { MirroredOllama } from "./mirrored_ollama.ts";

export interface LeftHelpersDeps {
  readonly ollama: Pick<Ollama, "hasHelpers">;
  readonly pulls: Pick<MirroredOllama, "removeLeft">;
  /** A pull that a crash has interrupted runs again, finds what it had fetched, and removes the rest itself. */
  readonly jobs: { active(): readonly Job[] };
  readonly clock: Clock;
}

const LOOK_MS = 15_000;

export class LeftHelpers {
  readonly #deps: LeftHelpersDeps;

  constructor(deps: LeftHelpersDeps) {
    this.#deps = deps;
  }

  /** Looks every 15 s at the last list; resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { ollama, pulls, jobs, clock } = this.#deps;
    while (!signal.aborted) {
      if (ollama.hasHelpers && jobs.active().length === 0) await pulls.removeLeft();
      await clock.sleep(LOOK_MS, signal);
    }
  }
}
