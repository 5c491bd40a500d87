// The verb list.
import { CourierError } from "../../base/errors.ts";
import { formatAgo, formatBytes } from "../../base/format.ts";
import { isListed } from "../../courier/selection.ts";
import type { Unavailable } from "../../courier/unavailable.ts";
import { modelsDocument } from "../../documents/models.ts";
import { flag } from "../../program/flags.ts";
import { examples, type Program } from "../base_command.ts";
import { agentsText } from "../output/agent_names.ts";
import { type Column, GAP, MODEL_NAME, tableWidth } from "../output/table.ts";
import { noteUnavailable } from "../output/unavailable.ts";
import type { Run, Session } from "../session.ts";

/** The least room for the agents of a model on a terminal: more of them are shown in fewer words. */
const AGENTS_CHARS = 14;

const MODEL_COLUMNS: readonly Column[] = [
  { title: "NAME", ...MODEL_NAME, minimum: 50 },
  { title: "ID", leaveOut: 3 },
  { title: "SIZE", align: "right" },
  { title: "PARAMS", align: "right", leaveOut: 4 },
  { title: "QUANT", leaveOut: 5 },
  { title: "MODIFIED", leaveOut: 2 },
];
const AGENTS_COLUMN: Column = { title: "AGENTS", flexible: true, cut: true, minimum: AGENTS_CHARS };
/** Ollama shows as many. */
const SHORT_DIGEST_CHARS = 12;

export function addListVerb(program: Program, run: Run): void {
  program
    .command("list")
    .alias("ls")
    .description("List the installed models and the agents that have them.")
    .argument("[prefix]", "only models whose names begin so")
    .addOption(flag("--fresh", "ask the agents instead of reading their published state"))
    .addOption(flag("--wide", "show everything, wider than the terminal: whole names, all agents"))
    .addHelpText("after", examples("list", "list phi", "list --agent gpu-1,gpu-2", "list --wide", "list --fresh"))
    .action(
      async (prefix = "", { fresh = false, wide = false }) =>
        await run(async (session) => await listModels(session, { prefix, fresh, wide })),
    );
}

interface ListChoices {
  readonly prefix: string;
  readonly fresh: boolean;
  readonly wide: boolean;
}

async function listModels(session: Session, { prefix, fresh, wide }: ListChoices): Promise<number> {
  const { courier, printer, agents, io } = session;
  const all = await courier.listModels(agents, { fresh, signal: io.signal });
  const found = { ...all, models: all.models.filter(({ name }) => beginsWith(name, prefix)) };
  if (prefix !== "" && found.models.length === 0) return refusePrefix(session, prefix, all.unavailable);
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
  ]);
  const width = wide ? Number.POSITIVE_INFINITY : printer.width;
  const room = Math.max(AGENTS_CHARS, width - tableWidth(MODEL_COLUMNS, rows) - GAP);
  const listed = await listedAgents(session, found.unavailable);
  const whole = rows.map((row, index) => [...row, agentsText(found.models[index]?.agents ?? [], listed, room)]);
  if (rows.length > 0) printer.table([...MODEL_COLUMNS, AGENTS_COLUMN], whole, width);
  else printer.note("No model is installed", "Pull one: gpuctl pull phi4");
  noteUnavailable(printer, found.unavailable);
  return 0;
}

/** Agents that could not be read may have such a model. @returns the exit status */
function refusePrefix({ printer }: Session, prefix: string, unavailable: readonly Unavailable[]): number {
  noteUnavailable(printer, unavailable);
  return printer.error(
    new CourierError("not_found", `No installed model begins with ${JSON.stringify(prefix)}`, {
      hint: "gpuctl list shows all models",
    }),
  );
}

/** The agents whose models the list has. */
async function listedAgents({ courier, agents }: Session, unavailable: readonly Unavailable[]): Promise<string[]> {
  const isAway = new Set(unavailable.map(({ agent }) => agent));
  const known = courier.lastKnownAgents();
  const views = known.length > 0 ? known : await courier.agents();
  const asked = views.map(({ agent }) => agent).filter((agent) => isListed(agent, agents));
  return asked.filter((agent) => !isAway.has(agent));
}

/** As in Ollama, where upper and lower case name the same model. */
function beginsWith(name: string, prefix: string): boolean {
  return name.toLowerCase().startsWith(prefix.toLowerCase());
}
