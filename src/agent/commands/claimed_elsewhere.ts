// Changing commands of the shared inbox that another agent has claimed: an agent that serves the inbox ends them.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { LIMITS } from "../../protocol.ts";
import type { Delivery, Transport } from "../../transport.ts";
import { type AcceptedCommand, lateness, outcomeUnknown } from "./judge.ts";
import type { ResponsePublisher } from "./response_publisher.ts";

export interface ClaimedElsewhereDeps {
  readonly transport: Pick<Transport, "now" | "isUnchanged">;
  readonly publisher: Pick<ResponsePublisher, "isAnswered" | "refuse" | "finish">;
  readonly clock: Clock;
  readonly log: Log;
}

interface Watched {
  readonly delivery: Delivery;
  readonly command: AcceptedCommand;
  /** Aborts when this agent no longer serves the inbox: then another one watches the command. */
  readonly closed: AbortSignal;
}

/** One listing a round, however many there are. */
const LOOK_EVERY_MS = 2000;

/**
 * A claim is never taken over: its holder resumes the command when it starts again. Here the command is removed once it
 * is answered, and answered `unavailable` when its time is over.
 */
export class ClaimedElsewhere {
  readonly #deps: ClaimedElsewhereDeps;
  readonly #watched = new Map<string, Watched>();
  #isLooking = false;

  constructor(deps: ClaimedElsewhereDeps) {
    this.#deps = deps;
  }

  /** Watches a command from now on. @returns false when it watches as many as it may */
  watch(delivery: Delivery, command: AcceptedCommand, closed: AbortSignal): boolean {
    if (this.#watched.size >= LIMITS.commandsInHand && !this.#watched.has(delivery.key)) return false;
    this.#watched.set(delivery.key, { delivery, command, closed });
    if (!this.#isLooking) void this.#lookRepeatedly();
    return true;
  }

  /** Never rejects: a command that cannot be judged now is judged in the next round. */
  async #lookRepeatedly(): Promise<void> {
    this.#isLooking = true;
    while (this.#watched.size > 0) {
      await Promise.all([...this.#watched].map(async ([key, watched]) => await this.#look(key, watched)));
      if (this.#watched.size > 0) await this.#deps.clock.sleep(LOOK_EVERY_MS);
    }
    this.#isLooking = false;
  }

  async #look(key: string, watched: Watched): Promise<void> {
    const isOver = watched.closed.aborted || (await this.#end(watched));
    // A later subscription may have delivered the command again: then that one watches it.
    if (isOver && this.#watched.get(key) === watched) this.#watched.delete(key);
  }

  /** @returns whether the command needs no more watching */
  async #end({ delivery, command, closed }: Watched): Promise<boolean> {
    const { transport, publisher, log } = this.#deps;
    try {
      if (await publisher.isAnswered(delivery)) await publisher.finish(delivery, command.verb);
      else if (lateness(command, delivery, transport.now()) === null || closed.aborted) return false;
      else if (await transport.isUnchanged(delivery)) {
        const error = outcomeUnknown("another agent began it and did not answer in time");
        const { answerTo, verb, model } = command;
        return (await publisher.refuse(delivery, { error, answerTo, verb, model, accepted: command })) === "ended";
      }
      return true;
    } catch (error) {
      log.debug({ id: delivery.id, reason: asCourierError(error).message }, "Cannot judge another agent's command");
      return false;
    }
  }
}
