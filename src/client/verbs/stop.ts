// The verb stop.
import { normalModelName } from "../../base/model_name.ts";
import { unloadedDocument } from "../../documents/outcomes.ts";
import { examples, type Program } from "../base_command.ts";
import type { Run, Session } from "../session.ts";
import { askEach, chosenViews, outcomesStatus, printOutcomes } from "./outcomes.ts";

export function addStopVerb(program: Program, run: Run): void {
  program
    .command("stop")
    .summary("Unload a model from memory.")
    .description("Unload a model from memory. It stays installed, and is loaded again at its next use.")
    .argument("<model>", "as gpuctl ps shows it")
    .addHelpText("after", examples("stop phi4", "stop phi4 --all"))
    .action(async (model) => await run(async (session) => await unloadModel(session, model)));
}

async function unloadModel(session: Session, model: string): Promise<number> {
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
