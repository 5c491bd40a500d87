// Runs the verbs until the agent leaves its transport, and then refuses what has not begun.
import { CourierError } from "../../base/errors.ts";
import type { Verbs } from "./verbs.ts";

export class LeavingVerbs implements Pick<Verbs, "run"> {
  readonly #verbs: Pick<Verbs, "run">;
  readonly #agent: string;
  readonly #condition: { readonly isLeaving: boolean };

  constructor(verbs: Pick<Verbs, "run">, agent: string, condition: { readonly isLeaving: boolean }) {
    this.#verbs = verbs;
    this.#agent = agent;
    this.#condition = condition;
  }

  /** @throws CourierError `unavailable` when the agent leaves; otherwise as `Verbs.run()` */
  async run(...given: Parameters<Verbs["run"]>): ReturnType<Verbs["run"]> {
    const [, { resumedSinceMs }] = given;
    // One that began before a crash is finished: refusing it would be wrong.
    if (!this.#condition.isLeaving || resumedSinceMs !== null) return await this.#verbs.run(...given);
    throw new CourierError("unavailable", `${this.#agent} is moving to another transport: nothing was done`, {
      hint: "Send it again when the agent is back",
    });
  }
}
