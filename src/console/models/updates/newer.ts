// Which installed models are not what their registries have now, and where.
import type { JobDocument } from "../../../documents/jobs.ts";
import type { UpdateDocument, UpdatesDocument } from "../../../documents/models/updates.ts";
import { isActive } from "../../store/job_facts.ts";
import { type FleetModel, keyOf } from "../facts/model_facts.ts";

/** By `keyOf()` of the installed model: after an update the box has another digest, and its old entry marks nothing. */
export type Compared = ReadonlyMap<string, UpdateDocument>;

export interface Outdated {
  readonly model: FleetModel;
  readonly update: UpdateDocument;
  /** Boxes that have it and do not pull it now. */
  readonly agents: readonly string[];
}

export function comparedOf({ updates }: UpdatesDocument): Compared {
  return new Map(updates.map((update) => [keyOf(update), update]));
}

export function isOutdated(model: FleetModel, compared: Compared): boolean {
  return compared.get(keyOf(model))?.state === "outdated";
}

/** The models that a user may update now. */
export function outdatedOf(
  models: readonly FleetModel[],
  compared: Compared,
  jobs: readonly JobDocument[],
): readonly Outdated[] {
  const pulling = new Set(jobs.filter(isActive).map(({ agent, model }) => `${agent} ${model}`));
  return models.flatMap((model) => {
    const update = compared.get(keyOf(model));
    const agents = model.agents.filter((agent) => !pulling.has(`${agent} ${model.name}`));
    return update?.state === "outdated" && agents.length > 0 ? [{ model, update, agents }] : [];
  });
}

/** At most: layers that a box has already are not fetched again. */
export function mostBytes(outdated: readonly Outdated[], agent: string): number {
  const own = outdated.filter(({ agents }) => agents.includes(agent));
  return own.reduce((sum, { update }) => sum + (update.registry_size ?? 0), 0);
}
