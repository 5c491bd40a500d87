// Asks agents for a model that no published state shows, before a caller denies that it exists.
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import { sameModel } from "../../base/model_name.ts";
import type { FleetModel } from "../../courier/fleet_model.ts";
import type { FleetModels } from "../../courier/models.ts";
import type { Unavailable } from "../../courier/unavailable.ts";
import { SharedAnswers } from "./shared_answers.ts";

export interface ModelQuestionsDeps {
  readonly courier: {
    listModels(names: undefined, options: { readonly fresh: boolean }): Promise<FleetModels>;
    describeModel(agent: string, name: string): Promise<{ readonly model: FleetModel }>;
  };
  readonly clock: Clock;
}

/** What the agents answered. Without a model, `unavailable` names the agents that may still have it. */
export interface ModelAnswer {
  readonly model: FleetModel | undefined;
  readonly unavailable: readonly Unavailable[];
}

/** A state is at most 15 s behind Ollama; asking more often than this would only load the agents. */
const ASK_INTERVAL_MS = 10_000;

/** Asks at most once per agent and name in 10 s. A caller that asks again in that time gets the same answer. */
export class ModelQuestions {
  readonly #courier: ModelQuestionsDeps["courier"];
  readonly #answers: SharedAnswers<ModelAnswer>;

  constructor({ courier, clock }: ModelQuestionsDeps) {
    this.#courier = courier;
    this.#answers = new SharedAnswers({ clock, keptMs: ASK_INTERVAL_MS });
  }

  /**
   * Looks for a model in Ollama's own list. The question outlives a caller that goes away, because others may share it.
   * @param agent the only agent to ask; undefined: all
   * @param name a normal name
   * @throws CourierError `unavailable` when no agent could answer; `not_found` for an unknown agent
   */
  async find(agent: string | undefined, name: string): Promise<ModelAnswer> {
    const key = `${agent ?? ""}\0${name.toLowerCase()}`;
    return await this.#answers.get(key, async () => await this.#ask(agent, name));
  }

  async #ask(agent: string | undefined, name: string): Promise<ModelAnswer> {
    const courier = this.#courier;
    if (agent !== undefined) return { model: await describe(courier, agent, name), unavailable: [] };
    const { models, unavailable } = await courier.listModels(undefined, { fresh: true });
    return { model: models.find((model) => sameModel(model.name, name)), unavailable };
  }
}

/** Undefined: the agent has no such model. */
async function describe(
  courier: ModelQuestionsDeps["courier"],
  agent: string,
  name: string,
): Promise<FleetModel | undefined> {
  try {
    return (await courier.describeModel(agent, name)).model;
  } catch (error) {
    if (error instanceof CourierError && error.code === "not_found") return undefined;
    throw error;
  }
}
