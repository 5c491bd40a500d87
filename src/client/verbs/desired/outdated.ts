// The verb outdated.
import { type RegistryChoices, registryFlags } from "../../../program/registry/flags.ts";
import { examples, type Program } from "../../base_command.ts";
import { noteUnavailable } from "../../output/unavailable.ts";
import type { Run, Session } from "../../session.ts";
import { printUpdates, readNewer } from "./newer.ts";

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
  const { updates } = found;
  if (updates.length === 0) printer.note("No model is installed", "Pull one: gpuctl pull phi4");
  await printUpdates(session, updates);
  noteUnavailable(printer, found.unavailable ?? []);
  const outdated = updates.filter(({ state }) => state === "outdated").length;
  if (outdated > 0) printer.note(`${outdated} of ${updates.length} can be updated`, "gpuctl update --all");
  return 0;
}
