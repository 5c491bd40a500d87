// The verb update: pulls again what its registry has replaced, and nothing else.
import { ERROR_CODES } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import type { UpdateDocument } from "../../../documents/models/updates.ts";
import { type PlannedChange, plannedDocument } from "../../../documents/planned.ts";
import { type RegistryChoices, registryFlags } from "../../../program/registry/flags.ts";
import { type ChangeChoices, mayChange } from "../../asking/confirm.ts";
import { chosenViews } from "../../asking/outcomes.ts";
import { planOf } from "../../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../../base_command.ts";
import { noteUnavailable } from "../../output/unavailable.ts";
import { MAX_WAIT } from "../../pulls/max_wait.ts";
import { pullToEnd, type StartChoices } from "../../pulls/start.ts";
import type { Run, Session } from "../../session.ts";
import { printUpdates, readNewer } from "./newer.ts";

type UpdateChoices = ChangeChoices & StartChoices & RegistryChoices;

export function addUpdateVerb(program: Program, run: Run): void {
  program
    .command("update")
    .summary("Pull again the models that their registries have replaced.")
    .description(
      "Pull again the models that their registries have replaced, on the agents that have them. Current ones stay untouched.\n" +
        "Lists them with their sizes first. Layers that a box has already are not fetched again.",
    )
    .argument("[model...]", "as gpuctl list shows it, also as a pattern: 'phi*'; default: all that are outdated")
    .addOption(MAX_WAIT)
    .addOption(registryFlags.allowRegistry())
    .addOption(registryFlags.insecureRegistry())
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText("after", examples("update --all --dry-run", "update phi4 --agent gpu-1", "update 'gemma3:*' --all"))
    .action(async (models, choices) => await run(async (session) => await updateModels(session, models, choices)));
}

async function updateModels(session: Session, models: readonly string[], choices: UpdateChoices): Promise<number> {
  const { printer, agents } = session;
  const views = await chosenViews(session);
  const asked = agents ?? views.map(({ agent }) => agent);
  const { updates, unavailable = [] } = await readNewer(session, asked, models, choices);
  const outdated = updates.filter(({ state }) => state === "outdated");
  const unknown = updates.filter(({ state }) => state === "unknown");
  const pulls = outdated.flatMap(({ name, agents: having }) =>
    views.filter(({ agent }) => having.includes(agent)).map((view) => ({ agent: view.agent, model: name, view })),
  );
  if (!printer.json) {
    await printUpdates(session, outdated);
    noteUnavailable(printer, unavailable);
    noteRest(session, updates, unknown);
  }
  // A model that was named, and could not be compared, is not brought up to date.
  const missed = models.length > 0 && unknown.length > 0 ? ERROR_CODES.unavailable.exit : 0;
  const changes = outdated.flatMap((update) =>
    planned(
      update,
      pulls.map(({ agent }) => agent),
    ),
  );
  if (choices.dryRun === true) {
    if (printer.json) printer.document(plannedDocument(changes));
    else printer.note("Nothing was changed");
    return missed;
  }
  if (pulls.length === 0 || !(await mayChange(session, async () => await Promise.resolve(planOf(changes)), choices)))
    return missed;
  const status = await pullToEnd(session, pulls, choices);
  return status === 0 ? missed : status;
}

function planned({ name, size, agents }: UpdateDocument, asked: readonly string[]): PlannedChange[] {
  const having = agents.filter((agent) => asked.includes(agent));
  return having.map((agent) => ({ agent, model: name, verb: "pull", installed: true, size, skipped: null }));
}

function noteRest({ printer }: Session, updates: readonly UpdateDocument[], unknown: readonly UpdateDocument[]): void {
  const outdated = updates.filter(({ state }) => state === "outdated");
  const bytes = outdated.reduce((sum, { registry_size, agents }) => sum + (registry_size ?? 0) * agents.length, 0);
  if (outdated.length > 0) printer.note(`At most ${formatBytes(bytes)} to fetch, on all boxes together`);
  else if (unknown.length === 0) printer.note("Nothing to update");
  if (unknown.length > 0)
    printer.note(`${unknown.length} could not be compared with their registries`, "gpuctl outdated shows why");
}
