// Sends the pulls that follow a fetch into the mirror, once it has ended: also those that a restart came between.
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { withoutPlace } from "../../../courier/index/share_away.ts";
import type { Courier } from "../../../courier.ts";
import type { Recorder } from "../../audit/recorder.ts";
import type { Connection } from "../../fleet/connection.ts";
import { keepRefused, type RefusalsKept, refusedPull, type StartedPull, startPull } from "../../fleet/start_pull.ts";
import type { FetchRecord, FetchStore, FollowingPull } from "./fetch_store.ts";

export interface FollowingPullsDeps extends RefusalsKept {
  readonly store: Pick<FetchStore, "pulls" | "sent">;
  readonly courier: Pick<Courier, "pullModel" | "now">;
  readonly connection: Pick<Connection, "isOpen">;
  readonly recorder: Pick<Recorder, "byItself">;
  readonly clock: Clock;
}

export type PullRequest = Pick<FollowingPull, "agent" | "force" | "now" | "requested_by">;

const LOOK_MS = 1_000;

export class FollowingPulls {
  readonly #deps: FollowingPullsDeps;

  constructor(deps: FollowingPullsDeps) {
    this.#deps = deps;
  }

  /**
   * Starts the pulls of an ended fetch that have not been started; those of one that did not succeed fail with its reason.
   * Sent twice, as after a crash, they join the jobs that are there.
   */
  async send(fetch: FetchRecord, stop: AbortSignal): Promise<void> {
    const { store, connection, clock } = this.#deps;
    const waiting = store.pulls(fetch.id).filter(({ job }) => job === null);
    if (waiting.length === 0) return;
    // After a start the share may not be reached yet.
    while (!connection.isOpen && !stop.aborted) await clock.sleep(LOOK_MS, stop);
    if (stop.aborted) return;
    await Promise.all(waiting.map(async (pull) => await this.#start(fetch, pull, stop)));
  }

  /** In the name of the user who asked for it: a fetch runs on in the course of another request, or of none. */
  async #start(fetch: FetchRecord, pull: FollowingPull, stop: AbortSignal): Promise<void> {
    const own = { who: pull.requested_by ?? "gpu-server", request: `fetch ${fetch.id}` };
    await this.#deps.recorder.byItself(own, async () => await this.#send(fetch, pull, stop));
  }

  async #send(fetch: FetchRecord, pull: FollowingPull, stop: AbortSignal): Promise<void> {
    const started = await this.#outcome(fetch, pull, stop);
    if (stop.aborted) return;
    const { job, refusal } = started;
    if (refusal !== undefined) keepRefused(this.#deps, [started]);
    const [code, error] = [refusal?.code ?? null, refusal?.message ?? null];
    this.#deps.store.sent(fetch.id, { agent: pull.agent, job: job.id ?? "", code, error });
  }

  async #outcome(
    { model, state, code, error }: FetchRecord,
    { agent, force, now, requested_by }: FollowingPull,
    signal: AbortSignal,
  ): Promise<StartedPull> {
    const { courier } = this.#deps;
    const requestedBy = requested_by ?? undefined;
    if (state === "succeeded")
      return await startPull(courier, agent, model, { force: force === 1, now: now === 1, signal, requestedBy });
    // Everyone who sees this agent reads it, also with a token that must not see where the share is.
    const reason = withoutPlace(new CourierError(code ?? "internal", error ?? state)).message;
    const refusal = new CourierError(code ?? "internal", `Not in the mirror: ${reason}`, {
      hint: "gpuctl mirror fetches",
    });
    return refusedPull(courier, agent, model, { refusal, requestedBy });
  }
}
