// The verb list.
import { formatAgo, formatBytes } from "../../base/format.ts";
import { modelsDocument } from "../../documents/models.ts";
import { flag } from "../../program/flags.ts";
import { examples, type Program } from "../base_command.ts";
import type { Column } from "../output/table.ts";
import { noteUnavailable } from "../output/unavailable.ts";
import type { Run, Session } from "../session.ts";

const MODEL_COLUMNS: readonly Column[] = [
  { title: "NAME", flexible: true },
  { title: "ID" },
  { title: "SIZE", align: "right" },
  { title: "PARAMS", align: "right" },
  { title: "QUANT" },
  { title: "MODIFIED" },
  { title: "AGENTS", flexible: true },
];
/** Ollama shows as many. */
const SHORT_DIGEST_CHARS = 12;

export function addListVerb(program: Program, run: Run): void {
  program
    .command("list")
    .alias("ls")
    .description("List the installed models and the agents that have them.")
    .addOption(flag("--fresh", "ask the agents instead of reading their published state"))
    .addHelpText("after", examples("list", "list --agent gpu-1,gpu-2", "list --fresh"))
    .action(async ({ fresh = false }) => await run(async (session) => await listModels(session, { fresh })));
}

async function listModels(session: Session, { fresh }: { readonly fresh: boolean }): Promise<number> {
  const { courier, printer, agents, io } = session;
  const found = await courier.listModels(agents, { fresh, signal: io.signal });
  if (printer.json) {
    printer.document(modelsDocument(found));
    return 0;
  }
  const nowMs = courier.now();
  const rows = found.models.map((model) => [
    model.name,
    model.digest.slice(0, SHORT_DIGEST_CHARS),
    // Ollama runs it on another host: only a stub of it is on this one.
    model.remote_host === undefined ? formatBytes(model.size) : "-",
    model.details?.parameter_size ?? "",
    model.details?.quantization_level ?? "",
    formatAgo(model.modified_at, nowMs - model.clockOffsetMs),
    model.agents.join(", "),
  ]);
  if (rows.length > 0) printer.table(MODEL_COLUMNS, rows);
  else printer.note("No model is installed", "Pull one: gpuctl pull phi4");
  noteUnavailable(printer, found.unavailable);
  return 0;
}
