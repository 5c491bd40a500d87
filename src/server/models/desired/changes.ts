// One round of changes: the commands that bring the fleet nearer to the file.
import type { Clock } from "../../../base/clock.ts";
import { asCourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { Slots } from "../../../base/slots.ts";
import { withoutPlace } from "../../../courier/index/share_away.ts";
import type { Courier } from "../../../courier.ts";
import type { Recorder } from "../../audit/recorder.ts";
import type { Attempts } from "./attempts.ts";
import { ROUND_MS } from "./comparison.ts";
import { type Difference, differenceKey } from "./differences.ts";

export interface ChangesDeps {
  readonly courier: Pick<Courier, "pullModel" | "deleteModel">;
  readonly attempts: Pick<Attempts, "refused">;
  readonly recorder: Pick<Recorder, "byItself">;
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
}

/** In the commands, and so in the jobs. No token can have this name. */
export const REQUESTED_BY = "gpu-server:desired";
/** A box that hangs takes up to the timeout of commands. */
const AT_ONCE = 16;

export class Changes {
  readonly #deps: ChangesDeps;
  readonly #slots = new Slots(AT_ONCE);
  #deletedMs = Number.NEGATIVE_INFINITY;

  constructor(deps: ChangesDeps) {
    this.#deps = deps;
  }

  /** This server acts from now on. The one before it may just have deleted as much as one round may. */
  begin(): void {
    this.#deletedMs = this.#deps.clock.monotonic();
  }

  /**
   * Sends what nothing holds back. Never rejects.
   * @param held aborts when another server may act
   * @param isWanted whether the file is still the one that the differences are from
   */
  async send(differences: readonly Difference[], held: AbortSignal, isWanted: () => boolean): Promise<void> {
    const free = differences.filter(({ hold, job }) => hold === null && job === null);
    const nowMs = this.#deps.clock.monotonic();
    const mayDelete = nowMs - this.#deletedMs >= ROUND_MS;
    const deletions = mayDelete ? free.filter(({ action }) => action === "delete") : [];
    if (deletions.length > 0) this.#deletedMs = nowMs;
    // Deletions come first: boxes that hang delay what follows.
    const sent = [...deletions, ...free.filter(({ action }) => action !== "delete")];
    await this.#deps.recorder.byItself({ who: REQUESTED_BY, request: "gpu-server --desired" }, async () => {
      await Promise.all(
        sent.map(
          async (each) =>
            await this.#slots.run(async () => {
              if (!held.aborted && isWanted()) await this.#sendOne(each, held);
            }),
        ),
      );
    });
  }

  async #sendOne(difference: Difference, held: AbortSignal): Promise<void> {
    const { courier, attempts, log } = this.#deps;
    const { agent, model, action } = difference;
    const options = { requestedBy: REQUESTED_BY, signal: held };
    try {
      if (action === "delete") await courier.deleteModel(agent, model, options);
      else await courier.pullModel(agent, model, options);
    } catch (error) {
      const failure = asCourierError(error);
      const { code, message, hint } = failure;
      if (code === "cancelled" && held.aborted) return;
      // Also read with tokens that must not see where the share is.
      attempts.refused(differenceKey(difference), withoutPlace(failure).message);
      log.warn({ agent, model, action, reason: message, ...(hint === undefined ? {} : { hint }) }, "Drift stays");
    }
  }
}
