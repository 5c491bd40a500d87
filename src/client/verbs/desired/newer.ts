// The models of the fleet that a command line names, compared with their registries.
import { CourierError } from "../../../base/errors.ts";
import { isPattern } from "../../../base/glob.ts";
import { normalModelName } from "../../../base/model_name.ts";
import type { Agents } from "../../../courier/selection.ts";
import type { UpdateDocument, UpdatesDocument } from "../../../documents/updates.ts";
import type { RegistryChoices } from "../../../program/registry/flags.ts";
import type { Column } from "../../output/table.ts";
import { MODEL_NAME } from "../../output/table.ts";
import type { Session } from "../../session.ts";

const TONES = { current: "good", outdated: "caution", unknown: "bad", local: null } as const;

/** The columns of a table about updates, but for the agents. */
export const UPDATE_COLUMNS: readonly Column[] = [
  { title: "MODEL", ...MODEL_NAME, minimum: 24 },
  { title: "STATE", flexible: true, tone: (cell) => TONES[stateIn(cell)] },
];

function stateIn(cell: string): UpdateDocument["state"] {
  return (["current", "outdated", "unknown"] as const).find((state) => cell.startsWith(state)) ?? "local";
}

/** Of `UPDATE_COLUMNS`. */
export function updateCells({ name, state, reason }: UpdateDocument): string[] {
  return [name, reason === null ? state : `${state}: ${reason}`];
}

/**
 * @param models names, also with `*` and `?`; none: every model
 * @throws CourierError `not_found` when a name fits no model of these agents
 */
export async function readNewer(
  { courier, io }: Session,
  agents: Agents | undefined,
  models: readonly string[],
  registries: RegistryChoices,
): Promise<UpdatesDocument> {
  const options = { registries, signal: io.signal };
  if (models.length === 0) return await courier.updates(agents, "*", options);
  const found: UpdatesDocument[] = [];
  for (const model of models) {
    const pattern = isPattern(model) ? model : normalModelName(model);
    const document = await courier.updates(agents, pattern, options);
    if (document.updates.length === 0)
      throw new CourierError("not_found", `No agent has the model ${JSON.stringify(pattern)}`, {
        hint: "gpuctl list shows all models; those in the cloud have no newer version here",
      });
    found.push(document);
  }
  const updates = found.flatMap((document) => document.updates);
  const distinct = new Map(updates.map((update) => [`${update.name} ${update.digest}`, update]));
  return { ...found[0], updates: [...distinct.values()] };
}
