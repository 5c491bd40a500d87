// Commands that come late, after others that were sent later: what those left must stay, whichever runs last.
import { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Jobs } from "../pulls/jobs.ts";

export interface LateCommandsDeps {
  readonly jobs: Pick<Jobs, "isAskedSince">;
  readonly ledger: Pick<Ledger, "noteChange" | "changedAtMs">;
  readonly log: Log;
}

/** When a command was sent and is run, on the transport's clock. */
interface Sent {
  readonly askedAtMs: number;
  readonly nowMs: number;
}

export class LateCommands {
  readonly #deps: LateCommandsDeps;

  constructor(deps: LateCommandsDeps) {
    this.#deps = deps;
  }

  /** The command is done: a copy with this name is made, or the model is deleted or was not there. */
  note(kind: "copy" | "delete", model: string, { askedAtMs }: Sent): void {
    const { ledger, log } = this.#deps;
    try {
      ledger.noteChange(model.toLowerCase(), kind, askedAtMs);
    } catch (error) {
      // Only the order of commands that come late depends on it, and this one is done.
      log.warn({ model, error }, "Cannot record when a command was sent");
    }
  }

  /** Whether a pull or copy that was sent after this delete brings or brought the model. */
  isBrought(model: string, sent: Sent): boolean {
    return this.#isSince("copy", model, sent) || this.#deps.jobs.isAskedSince(model, sent.askedAtMs, sent.nowMs);
  }

  /** @throws CourierError `conflict` when a delete that was sent after this pull or copy has been run */
  requireNotDeleted(action: string, model: string, sent: Sent): void {
    if (!this.#isSince("delete", model, sent)) return;
    throw new CourierError("conflict", `Cannot ${action} ${model}: a command that was sent later has deleted it`, {
      hint: "Send it again",
    });
  }

  /** A time that is later than now is of a clock that was set back since, and does not count. */
  #isSince(kind: "copy" | "delete", model: string, { askedAtMs, nowMs }: Sent): boolean {
    const atMs = this.#deps.ledger.changedAtMs(model.toLowerCase(), kind) ?? Number.NEGATIVE_INFINITY;
    return atMs > askedAtMs && atMs <= nowMs;
  }
}
