// Commands that come late, after others that were sent later: what those left must stay, whichever runs last.
import { CourierError } from "../../base/errors.ts";
import type { Jobs } from "../pulls/jobs.ts";

/** The oldest are forgotten; commands are hardly ever that late. */
const REMEMBERED = 1_000;

/** When a command was sent and is run, on the transport's clock. */
interface Sent {
  readonly askedAtMs: number;
  readonly nowMs: number;
}

export class LateCommands {
  readonly #jobs: Pick<Jobs, "isAskedSince">;
  readonly #copies = new Times();
  readonly #deletes = new Times();

  constructor(jobs: Pick<Jobs, "isAskedSince">) {
    this.#jobs = jobs;
  }

  /** A copy with this name is made. */
  copied(destination: string, { askedAtMs }: Sent): void {
    this.#copies.put(destination, askedAtMs);
  }

  /** The model is deleted, or was not there to be deleted. */
  deleted(model: string, { askedAtMs }: Sent): void {
    this.#deletes.put(model, askedAtMs);
  }

  /** Whether a pull or copy that was sent after this delete brings or brought the model. */
  isBrought(model: string, sent: Sent): boolean {
    return this.#copies.isSince(model, sent) || this.#jobs.isAskedSince(model, sent.askedAtMs, sent.nowMs);
  }

  /** @throws CourierError `conflict` when a delete that was sent after this pull or copy has been run */
  requireNotDeleted(action: string, model: string, sent: Sent): void {
    if (!this.#deletes.isSince(model, sent)) return;
    throw new CourierError("conflict", `Cannot ${action} ${model}: a command that was sent later has deleted it`, {
      hint: "Send it again",
    });
  }
}

/** When the last command of one kind was sent, by model. */
class Times {
  readonly #atMs = new Map<string, number>();

  put(model: string, atMs: number): void {
    const key = model.toLowerCase();
    const last = Math.max(atMs, this.#atMs.get(key) ?? 0);
    this.#atMs.delete(key);
    this.#atMs.set(key, last);
    const [oldest] = this.#atMs.keys();
    if (this.#atMs.size > REMEMBERED && oldest !== undefined) this.#atMs.delete(oldest);
  }

  /** A time that is later than now is of a clock that was set back since, and does not count. */
  isSince(model: string, { askedAtMs, nowMs }: Sent): boolean {
    const atMs = this.#atMs.get(model.toLowerCase()) ?? Number.NEGATIVE_INFINITY;
    return atMs > askedAtMs && atMs <= nowMs;
  }
}
