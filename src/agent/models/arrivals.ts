// Which models came by a command that was sent later than another: a delete that comes late must leave those.
import type { Jobs } from "../pulls/jobs.ts";

/** The oldest copies are forgotten; deletes are hardly ever that late. */
const REMEMBERED_COPIES = 1_000;

export class Arrivals {
  readonly #jobs: Pick<Jobs, "isAskedSince">;
  /** When the command that made the copy was sent, on the transport's clock, by the name of the copy in lower case. */
  readonly #copies = new Map<string, number>();

  constructor(jobs: Pick<Jobs, "isAskedSince">) {
    this.#jobs = jobs;
  }

  /** Remembers a copy that is made now. */
  copied(destination: string, askedAtMs: number): void {
    const key = destination.toLowerCase();
    this.#copies.delete(key);
    this.#copies.set(key, askedAtMs);
    const [oldest] = this.#copies.keys();
    if (this.#copies.size > REMEMBERED_COPIES && oldest !== undefined) this.#copies.delete(oldest);
  }

  /**
   * Whether a pull or copy that was sent after `sinceMs` brings or brought the model.
   * @param nowMs now: a later time is of a clock that was set back since, and does not count
   */
  isSince(model: string, sinceMs: number, nowMs: number): boolean {
    const copiedAtMs = this.#copies.get(model.toLowerCase()) ?? Number.NEGATIVE_INFINITY;
    return (copiedAtMs > sinceMs && copiedAtMs <= nowMs) || this.#jobs.isAskedSince(model, sinceMs, nowMs);
  }
}
