// Lists that the agents themselves are asked for: those who ask at the same time share one.
import type { Clock } from "../../base/clock.ts";
import type { FleetModels } from "../../courier/models.ts";
import type { FleetRunning } from "../../courier/running.ts";
import type { Courier } from "../../courier.ts";
import { SharedAnswers } from "./shared_answers.ts";

export interface FreshListsDeps {
  readonly courier: Pick<Courier, "listModels" | "listRunning">;
  readonly clock: Pick<Clock, "monotonic">;
}

/** A later caller may want to see a change of its own, which the list under way may have missed. */
const JOINED_MS = 250;

/** A list goes on when a caller disconnects, because others may wait for it. */
export class FreshLists {
  readonly #courier: FreshListsDeps["courier"];
  readonly #models: SharedAnswers<FleetModels>;
  readonly #running: SharedAnswers<FleetRunning>;

  constructor({ courier, clock }: FreshListsDeps) {
    this.#courier = courier;
    this.#models = new SharedAnswers({ clock, keptMs: 0, joinedMs: JOINED_MS });
    this.#running = new SharedAnswers({ clock, keptMs: 0, joinedMs: JOINED_MS });
  }

  /** @param names which agents; undefined: all. @throws CourierError as `Courier.listModels` */
  async models(names: readonly string[] | undefined): Promise<FleetModels> {
    return await this.#models.get(keyOf(names), async () => await this.#courier.listModels(names, { fresh: true }));
  }

  /** As `models()`, for the models in memory. */
  async running(names: readonly string[] | undefined): Promise<FleetRunning> {
    return await this.#running.get(keyOf(names), async () => await this.#courier.listRunning(names, { fresh: true }));
  }
}

/** No agent has an empty name. */
function keyOf(names: readonly string[] | undefined): string {
  return names?.join(" ") ?? "";
}
