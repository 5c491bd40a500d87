// The verbs about models in memory: ps, stop.

import { formatBytes, formatUntil } from "../../base/format.ts";
import { normalModelName } from "../../base/model_name.ts";
import { unloadedDocument } from "../../documents/outcomes.ts";
import { runningDocument } from "../../documents/running.ts";
import type { RunningModel } from "../../protocol.ts";
import type { Column } from "../output/table.ts";
import type { Session } from "../session.ts";
import { boxClock } from "./jobs.ts";
import { noteUnavailable } from "./models.ts";
import { askEach, chosenViews, outcomesStatus, printOutcomes } from "./outcomes.ts";

const RUNNING_COLUMNS: readonly Column[] = [
  { title: "NAME", flexible: true },
  { title: "AGENT" },
  { title: "SIZE", align: "right" },
  { title: "PROCESSOR" },
  { title: "UNTIL" },
];

/** `gpuctl ps` */
export async function listRunning(session: Session, { fresh }: { readonly fresh: boolean }): Promise<number> {
  const { courier, printer, transport, agents, io } = session;
  const found = await courier.listRunning(agents, { fresh, signal: io.signal });
  if (printer.json) {
    printer.document(runningDocument(found));
    return 0;
  }
  const nowMs = boxClock(courier, transport);
  const rows = found.running.map((model) => [
    model.name,
    model.agent,
    formatBytes(model.size),
    processorText(model),
    formatUntil(model.expires_at, nowMs(model.agent)),
  ]);
  if (rows.length > 0) printer.table(RUNNING_COLUMNS, rows);
  else printer.note("No model is in memory");
  noteUnavailable(printer, found.unavailable);
  return 0;
}

/** `gpuctl stop MODEL` */
export async function unloadModel(session: Session, model: string): Promise<number> {
  const { courier, printer, io } = session;
  const name = normalModelName(model);
  const views = await chosenViews(session);
  const outcomes = await askEach(views, async (agent) => {
    return await courier.unloadModel(agent, name, { signal: io.signal });
  });
  if (printer.json) printer.document(unloadedDocument(outcomes, name));
  else printOutcomes(session, outcomes, "RESULT", ({ message }) => message ?? `unloaded ${name}`);
  return outcomesStatus(outcomes, io.signal);
}

/** Where it is, as Ollama says it: all on one, or parts. */
function processorText({ size, size_vram }: RunningModel): string {
  if (size_vram === 0) return "100 % CPU";
  if (size_vram >= size) return "100 % GPU";
  const gpuPercent = Math.round((100 * size_vram) / size);
  return `${100 - gpuPercent} %/${gpuPercent} % CPU/GPU`;
}
