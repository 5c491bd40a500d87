// Follows the box's windows: whether pulls may run now, and each change of it.
import type { Clock } from "../../../base/clock.ts";
import type { Opening, PullWindows } from "./pull_windows.ts";

export interface WindowWatchDeps {
  readonly windows: PullWindows;
  readonly clock: Clock;
}

/** The wall clock may be set, and a machine may sleep. */
const LOOK_MS = 30_000;

export class WindowWatch {
  readonly #deps: WindowWatchDeps;
  #opening: Opening;
  #knownAtMs: number;

  constructor(deps: WindowWatchDeps) {
    this.#deps = deps;
    this.#knownAtMs = deps.clock.now();
    this.#opening = deps.windows.at(this.#knownAtMs);
  }

  get opening(): Opening {
    const nowMs = this.#deps.clock.now();
    const changesAtMs = this.#opening.isOpen ? this.#opening.closesAtMs : this.#opening.opensAtMs;
    // Working it out takes a millisecond, and it is asked for with each job of each list.
    const isKnown = nowMs >= this.#knownAtMs && nowMs < (changesAtMs ?? Infinity);
    if (!isKnown) {
      this.#opening = this.#deps.windows.at(nowMs);
      this.#knownAtMs = nowMs;
    }
    return this.#opening;
  }

  /** Reports each change until the signal aborts. `onChange` must not throw. Ends at once where pulls may always run. */
  async run(onChange: (isOpen: boolean) => void, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let { isOpen } = this.opening;
    while (!signal.aborted) {
      const { opening } = this;
      if (opening.isOpen !== isOpen) {
        ({ isOpen } = opening);
        onChange(isOpen);
      }
      const changesAtMs = opening.isOpen ? opening.closesAtMs : opening.opensAtMs;
      if (changesAtMs === null) return;
      await clock.sleep(Math.min(LOOK_MS, changesAtMs - clock.now()), signal);
    }
  }
}
