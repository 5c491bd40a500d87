// The verb stop.
import { normalModelName } from "../../../base/model_name.ts";
import { unloadedDocument } from "../../../documents/outcomes.ts";
import { type ChangeChoices, mayChange } from "../../asking/confirm.ts";
import { askEach, chosenViews, outcomesStatus, printOutcomes } from "../../asking/outcomes.ts";
import { planChanges } from "../../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../../base_command.ts";
import type { Run, Session } from "../../session.ts";

export function addStopVerb(program: Program, run: Run): void {
  program
    .command("stop")
    .summary("Unload models from memory.")
    .description("Unload models from memory. They stay installed, and are loaded again at their next use.")
    .argument("<model...>", "as gpuctl ps shows it")
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText("after", examples("stop phi4", "stop phi4 gemma3:270m --all"))
    .action(async (models, choices) => await run(async (session) => await unloadModels(session, models, choices)));
}

async function unloadModels(session: Session, models: readonly string[], choices: ChangeChoices): Promise<number> {
  const { courier, printer, io } = session;
  const names = [...new Set(models.map((model) => normalModelName(model)))];
  const views = await chosenViews(session);
  if (!(await mayChange(session, async () => await planChanges(session, "unload", views, names), choices))) return 0;
  const unloaded = await Promise.all(
    names.map(async (model) => {
      return await askEach(views, async (agent) => {
        const { message } = await courier.unloadModel(agent, model, { signal: io.signal });
        return message ?? `unloaded ${model}`;
      });
    }),
  );
  const outcomes = unloaded.flat();
  const documents = unloaded.map((ofModel, index) => unloadedDocument(ofModel, names[index] ?? ""));
  if (printer.json) printer.document({ agents: documents.flatMap(({ agents }) => agents) });
  else printOutcomes(session, outcomes, "RESULT", (text) => text, names.length === 1 ? "agents" : "models");
  return outcomesStatus(outcomes, io.signal);
}
