// Asks the agents for a job that no state shows: only for an id that can be one, and each agent not again and again.
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Courier } from "../../courier.ts";
import type { Job } from "../../protocol.ts";
import { SharedAnswers } from "./shared_answers.ts";

export interface JobQuestionsDeps {
  readonly courier: Pick<Courier, "findJob" | "jobHistory" | "now">;
  readonly clock: Pick<Clock, "monotonic">;
}

/** An agent that takes longer is counted as not having the job. */
const ASK_MS = 5_000;
/** Callers choose the ids: an agent's answer serves all of them for this time. A job that began since is in its state. */
const ASK_INTERVAL_MS = 10_000;
const DAY_MS = 86_400_000;
const MAX_AGE_DAYS = 30;
/** A box's clock may be ahead of the share's. */
const MAX_AHEAD_MS = DAY_MS;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export class JobQuestions {
  readonly #courier: JobQuestionsDeps["courier"];
  /** By agent. */
  readonly #histories: SharedAnswers<readonly Job[]>;

  constructor({ courier, clock }: JobQuestionsDeps) {
    this.#courier = courier;
    this.#histories = new SharedAnswers({ clock, keptMs: ASK_INTERVAL_MS });
  }

  /** @throws CourierError `not_found`, with nothing asked for an id that no agent can still have made; as `Courier.findJob` */
  async find(id: string, sentTo?: string): Promise<Job> {
    const ageMs = this.#courier.now() - createdMs(id);
    if (!(ageMs >= -MAX_AHEAD_MS && ageMs <= MAX_AGE_DAYS * DAY_MS))
      throw new CourierError(
        "not_found",
        `No job ${id} is known, and its id is not one of the last ${MAX_AGE_DAYS} days`,
        {
          hint: "The ids of jobs are UUIDs of version 7. Older jobs are found only while a state or the server still has them",
        },
      );
    return await this.#courier.findJob(id, { sentTo, history: async (agent) => await this.#historyOf(agent) });
  }

  async #historyOf(agent: string): Promise<readonly Job[]> {
    return await this.#histories.get(agent, async () => await this.#courier.jobHistory(agent, { timeoutMs: ASK_MS }));
  }
}

/** The time in a UUID of version 7, in its first 48 bits; NaN for any other id. */
function createdMs(id: string): number {
  return UUID_V7.test(id) ? Number.parseInt(id.replace("-", "").slice(0, 12), 16) : Number.NaN;
}
