// The verb outdated.
import { formatBytes } from "../../../base/format.ts";
import { type RegistryChoices, registryFlags } from "../../../program/registry/flags.ts";
import { examples, type Program } from "../../base_command.ts";
import { agentsText } from "../../output/agent_names.ts";
import { noteUnavailable } from "../../output/unavailable.ts";
import type { Run, Session } from "../../session.ts";
import { readNewer, UPDATE_COLUMNS, updateCells } from "./newer.ts";

/** Of a terminal with 80 columns. */
const AGENTS_CHARS = 14;

export function addOutdatedVerb(program: Program, run: Run): void {
  program
    .command("outdated")
    .summary("Show which models are not what their registries have now.")
    .description(
      "Show which models are not what their registries have now. gpu-server asks them, or without --server this machine.\n" +
        "current, outdated, local (the registry has no such model: a copy, for example), or unknown with the reason.",
    )
    .argument("[model...]", "as gpuctl list shows it, also as a pattern: 'phi*'; default: all")
    .addOption(registryFlags.allowRegistry())
    .addOption(registryFlags.insecureRegistry())
    .addHelpText("after", examples("outdated", "outdated phi4 --agent gpu-1", "outdated --json"))
    .action(async (models, choices) => await run(async (session) => await showOutdated(session, models, choices)));
}

async function showOutdated(session: Session, models: readonly string[], choices: RegistryChoices): Promise<number> {
  const { printer, agents } = session;
  const found = await readNewer(session, agents, models, choices);
  if (printer.json) {
    printer.document(found);
    return 0;
  }
  const listed = (await session.courier.agents()).map(({ agent }) => agent);
  const rows = found.updates.map((update) => [
    ...updateCells(update),
    update.state === "outdated" && update.registry_size !== null ? formatBytes(update.registry_size) : "",
    agentsText(update.agents, listed, AGENTS_CHARS),
  ]);
  const columns = [
    ...UPDATE_COLUMNS,
    { title: "SIZE", align: "right" as const, leaveOut: 1 },
    { title: "AGENTS", flexible: true, cut: true, minimum: AGENTS_CHARS },
  ];
  if (rows.length > 0) printer.table(columns, rows);
  else printer.note("No model is installed", "Pull one: gpuctl pull phi4");
  noteUnavailable(printer, found.unavailable ?? []);
  const outdated = found.updates.filter(({ state }) => state === "outdated").length;
  if (outdated > 0) printer.note(`${outdated} of ${rows.length} can be updated`, "gpuctl update --all");
  return 0;
}
