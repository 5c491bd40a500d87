// Notices when the trusted keys can no longer be used, and when they can again.
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { TrustedSenders } from "../../trust/roster/trusted_senders.ts";

export interface TrustedKeysWatchDeps {
  readonly keys: Pick<TrustedSenders, "look" | "trouble">;
  readonly changes: { notify(what: "state"): void };
  readonly clock: Clock;
  readonly log: Log;
}

const LOOK_EVERY_MS = 5000;

export class TrustedKeysWatch {
  readonly #deps: TrustedKeysWatchDeps;
  #loggedTrouble: string | null = null;

  constructor(deps: TrustedKeysWatchDeps) {
    this.#deps = deps;
  }

  /** Looks every 5 s; resolves when the signal aborts. A command that arrives is judged by the file as it is then. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#look();
      await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  #look(): void {
    const { keys, changes, log } = this.#deps;
    keys.look();
    const { message = null, hint } = keys.trouble ?? {};
    if (message === this.#loggedTrouble) return;
    if (message === null) log.info({}, "The trusted keys can be used again");
    else log.error({ hint }, message);
    this.#loggedTrouble = message;
    changes.notify("state");
  }
}
