// The verb ps.
import { formatBytes, formatUntil } from "../../../base/format.ts";
import { runningDocument } from "../../../documents/running.ts";
import { flag } from "../../../program/flags.ts";
import type { RunningModel } from "../../../protocol.ts";
import { examples, type Program } from "../../base_command.ts";
import { boxClock } from "../../box_clock.ts";
import { type Column, MODEL_NAME } from "../../output/table.ts";
import { noteUnavailable } from "../../output/unavailable.ts";
import type { Run, Session } from "../../session.ts";

const RUNNING_COLUMNS: readonly Column[] = [
  { title: "NAME", ...MODEL_NAME, minimum: 50 },
  { title: "AGENT" },
  { title: "SIZE", align: "right", leaveOut: 1 },
  { title: "PROCESSOR", leaveOut: 2 },
  { title: "CONTEXT", align: "right", leaveOut: 3 },
  { title: "UNTIL" },
];

export function addPsVerb(program: Program, run: Run): void {
  program
    .command("ps")
    .description("List loaded models and when they will be unloaded.")
    .addOption(flag("--fresh", "ask the agents instead of reading their published state"))
    .addHelpText("after", examples("ps", "ps --agent gpu-1 --fresh"))
    .action(async ({ fresh = false }) => await run(async (session) => await listRunning(session, { fresh })));
}

async function listRunning(session: Session, { fresh }: { readonly fresh: boolean }): Promise<number> {
  const { courier, printer, agents, io } = session;
  const found = await courier.listRunning(agents, { fresh, signal: io.signal });
  if (printer.json) {
    printer.document(runningDocument(found));
    return 0;
  }
  const nowMs = boxClock(session);
  const rows = found.running.map((model) => [
    model.name,
    model.agent,
    formatBytes(model.size),
    processorText(model),
    String(model.context_length ?? ""),
    formatUntil(model.expires_at, nowMs(model.agent)),
  ]);
  if (rows.length > 0) printer.table(RUNNING_COLUMNS, rows);
  else printer.note("No model is in memory");
  noteUnavailable(printer, found.unavailable);
  return 0;
}

/** In the form of `ollama ps`: all on one processor, or the shares. */
function processorText({ size, size_vram }: RunningModel): string {
  if (size_vram === 0) return "100 % CPU";
  if (size_vram >= size) return "100 % GPU";
  const gpuPercent = Math.round((100 * size_vram) / size);
  return `${100 - gpuPercent} %/${gpuPercent} % CPU/GPU`;
}
