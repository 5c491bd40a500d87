// The verb cp.
import { normalModelName } from "../../base/model_name.ts";
import { copiedDocument } from "../../documents/outcomes.ts";
import { type ChangeChoices, mayChange } from "../asking/confirm.ts";
import { askEach, chosenViews, outcomesStatus, printOutcomes } from "../asking/outcomes.ts";
import { planChanges } from "../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../base_command.ts";
import type { Run, Session } from "../session.ts";

export function addCpVerb(program: Program, run: Run): void {
  program
    .command("cp")
    .summary("Give a model a second name.")
    .description("Give a model a second name. It takes no space. A model that already has this name is replaced.")
    .argument("<model>", "as gpuctl list shows it")
    .argument("<name>", "the second name")
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText("after", examples("cp phi4 my-phi4", "cp phi4 phi4:before --all"))
    .action(
      async (model, name, choices) => await run(async (session) => await copyModel(session, [model, name], choices)),
    );
}

async function copyModel(
  session: Session,
  [model, destination]: readonly [string, string],
  choices: ChangeChoices,
): Promise<number> {
  const { courier, printer, io } = session;
  const [name, copy] = [normalModelName(model), normalModelName(destination)];
  const views = await chosenViews(session);
  if (!(await mayChange(session, async () => await planChanges(session, "copy", views, [name], copy), choices)))
    return 0;
  const outcomes = await askEach(views, async (agent) => {
    await courier.copyModel(agent, name, copy, { signal: io.signal });
    return copy;
  });
  if (printer.json) printer.document(copiedDocument(outcomes, name, copy));
  else printOutcomes(session, outcomes, "RESULT", () => `copied ${name} to ${copy}`);
  return outcomesStatus(outcomes, io.signal);
}
