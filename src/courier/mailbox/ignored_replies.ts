// Counts the replies that did not answer what was asked, and logs the first one for each agent.
import type { Log } from "../../base/log.ts";
import type { SentCommand } from "./reply_judge.ts";

export class IgnoredReplies {
  readonly #log: Log;
  readonly #counts = new Map<string, number>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** By the agent that was asked; without those that had none. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** @param reason one of our own texts */
  add({ agent, id }: SentCommand, reason: string): void {
    const count = this.#counts.get(agent) ?? 0;
    this.#counts.set(agent, count + 1);
    if (count > 0) return;
    this.#log.warn(
      { agent, id, reason },
      "Ignored a response that does not match its command; waiting for the real one",
    );
  }
}
