// Whether the share can be read. Anyone may ask, so it is looked at once a second at most.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import { SharedAnswers } from "../limits/shared_answers.ts";

export interface ReadinessDeps {
  readonly connection: { requireOpen(): void };
  readonly fleet: { requireCurrent(): Promise<void> };
  readonly clock: Pick<Clock, "monotonic">;
}

const KEPT_MS = 1_000;

export class Readiness {
  readonly #deps: ReadinessDeps;
  readonly #answers: SharedAnswers<void>;

  constructor(deps: ReadinessDeps) {
    this.#deps = deps;
    this.#answers = new SharedAnswers({ clock: deps.clock, keptMs: KEPT_MS });
  }

  /** @throws CourierError `unavailable` while the share cannot be read */
  async require(): Promise<void> {
    await this.#answers.get("share", async () => await this.#look());
  }

  /** Why the share cannot be read; null: it can. */
  async reason(): Promise<string | null> {
    return await this.require().then(
      () => null,
      (error: unknown) => asCourierError(error).message,
    );
  }

  async #look(): Promise<void> {
    const { connection, fleet } = this.#deps;
    connection.requireOpen();
    await fleet.requireCurrent();
  }
}
