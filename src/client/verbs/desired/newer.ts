// The models of the fleet that a command line names, compared with their registries.
import { CourierError } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { isPattern } from "../../../base/glob.ts";
import { normalModelName } from "../../../base/model_name.ts";
import type { Agents } from "../../../courier/selection.ts";
import type { UpdateDocument, UpdatesDocument } from "../../../documents/models/updates.ts";
import type { RegistryChoices } from "../../../program/registry/flags.ts";
import { agentsText } from "../../output/agent_names.ts";
import { type Column, MODEL_NAME } from "../../output/table.ts";
import type { Session } from "../../session.ts";

const TONES = { current: "good", outdated: "caution", unknown: "bad", local: null } as const;
/** Of a terminal with 80 columns. */
const AGENTS_CHARS = 14;

const COLUMNS: readonly Column[] = [
  { title: "MODEL", ...MODEL_NAME, minimum: 24 },
  { title: "STATE", flexible: true, tone: (cell) => TONES[stateIn(cell)] },
  { title: "SIZE", align: "right", leaveOut: 1 },
  { title: "AGENTS", flexible: true, cut: true, minimum: AGENTS_CHARS },
];

function stateIn(cell: string): UpdateDocument["state"] {
  return (["current", "outdated", "unknown"] as const).find((state) => cell.startsWith(state)) ?? "local";
}

/** A row for each model, with the size of the newer one. */
export async function printUpdates({ printer, courier }: Session, updates: readonly UpdateDocument[]): Promise<void> {
  const listed = (await courier.agents()).map(({ agent }) => agent);
  const rows = updates.map(({ name, state, reason, registry_size, agents }) => [
    name,
    reason === null ? state : `${state}: ${reason}`,
    state === "outdated" && registry_size !== null ? formatBytes(registry_size) : "",
    agentsText(agents, listed, AGENTS_CHARS),
  ]);
  if (rows.length > 0) printer.table(COLUMNS, rows);
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
