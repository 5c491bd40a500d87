// Changing commands of the shared inbox that another agent has claimed: anyone who serves sees to it that each ends.
// Imports the seam, commands, clock, errors.
import type { Clock } from "../../base/clock.ts";
import { asCourierError, type CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Delivery } from "../../transport.ts";
import { type AcceptedCommand, lateness, outcomeUnknown } from "./judge.ts";

export interface OthersOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** The transport's clock. */
  readonly now: () => number;
  readonly isAnswered: (delivery: Delivery) => Promise<boolean>;
  readonly isUnchanged: (delivery: Delivery) => Promise<boolean>;
  /** Answers a command with an error. */
  readonly refuse: (delivery: Delivery, command: AcceptedCommand, error: CourierError) => Promise<unknown>;
  readonly remove: (delivery: Delivery, command: AcceptedCommand) => Promise<void>;
}

interface Watched {
  readonly delivery: Delivery;
  readonly command: AcceptedCommand;
  /** Aborts when this agent no longer serves the inbox: then another sees to it. */
  readonly closed: AbortSignal;
}

/** One listing a round, however many there are. */
const LOOK_EVERY_MS = 2000;

/**
 * A claim is never taken over: its holder goes on when it is back. Here its command is removed once it is answered, and
 * answered `unavailable` when its time is over without that.
 */
export class OthersCommands {
  readonly #options: OthersOptions;
  readonly #watched = new Map<string, Watched>();
  #isLooking = false;

  constructor(options: OthersOptions) {
    this.#options = options;
  }

  /** Sees to one command from now on. */
  watch(delivery: Delivery, command: AcceptedCommand, closed: AbortSignal): void {
    this.#watched.set(delivery.key, { delivery, command, closed });
    if (!this.#isLooking) void this.#lookOnAndOn();
  }

  /** Never rejects: what cannot be told now is looked at again. */
  async #lookOnAndOn(): Promise<void> {
    this.#isLooking = true;
    while (this.#watched.size > 0) {
      await Promise.all([...this.#watched].map(async ([key, watched]) => await this.#look(key, watched)));
      if (this.#watched.size > 0) await this.#options.clock.sleep(LOOK_EVERY_MS);
    }
    this.#isLooking = false;
  }

  async #look(key: string, watched: Watched): Promise<void> {
    const isOver = watched.closed.aborted || (await this.#end(watched));
    // Seen again meanwhile, by a subscription that came later: then it is that one's.
    if (isOver && this.#watched.get(key) === watched) this.#watched.delete(key);
  }

  /** @returns whether there is nothing more to see to */
  async #end({ delivery, command, closed }: Watched): Promise<boolean> {
    const { now, isAnswered, isUnchanged, refuse, remove, log } = this.#options;
    try {
      if (await isAnswered(delivery)) await remove(delivery, command);
      else if (lateness(command, delivery, now()) === null || closed.aborted) return false;
      else if (await isUnchanged(delivery)) {
        await refuse(delivery, command, outcomeUnknown("another agent began it and gave no answer in its time"));
        await remove(delivery, command);
      }
      return true;
    } catch (error) {
      log.debug({ id: delivery.id, reason: asCourierError(error).message }, "Cannot look to another agent's command");
      return false;
    }
  }
}
