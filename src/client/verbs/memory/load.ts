// The verb load.
import { normalModelName } from "../../../base/model_name.ts";
import { loadedDocument } from "../../../documents/running.ts";
import { flag } from "../../../program/flags.ts";
import { keepAliveSeconds } from "../../../protocol.ts";
import { type ChangeChoices, mayChange } from "../../asking/confirm.ts";
import { askEach, chosenViews, outcomesStatus, printOutcomes } from "../../asking/outcomes.ts";
import { planChanges } from "../../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../../base_command.ts";
import type { Run, Session } from "../../session.ts";

interface Choices extends ChangeChoices {
  /** In seconds; -1: until it is unloaded. */
  readonly keepAlive?: number | undefined;
}

export function addLoadVerb(program: Program, run: Run): void {
  program
    .command("load")
    .summary("Load models into memory.")
    .description(
      "Load models into memory, so that their next use does not wait. Ollama unloads others if there is no room.",
    )
    .argument("<model...>", "as gpuctl list shows it")
    .addOption(
      flag(
        "--keep-alive <duration>",
        "stay loaded this long after the last use: 10m, 1h30m, seconds, or -1 until stop",
      ).argParser(keepAliveSeconds),
    )
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText(
      "after",
      examples("load phi4", "load phi4 gemma3:270m --keep-alive 1h", "load phi4 --keep-alive -1 --all"),
    )
    .action(async (models, choices) => await run(async (session) => await loadModels(session, models, choices)));
}

async function loadModels(session: Session, models: readonly string[], choices: Choices): Promise<number> {
  const { courier, printer, io } = session;
  const { keepAlive } = choices;
  const names = [...new Set(models.map((model) => normalModelName(model)))];
  const views = await chosenViews(session);
  if (!(await mayChange(session, async () => await planChanges(session, "load", views, names), choices))) return 0;
  const loaded = await Promise.all(
    names.map(async (model) => {
      return await askEach(views, async (agent) => {
        const { message } = await courier.loadModel(agent, model, {
          keepAlive,
          whileRunningMs: Infinity,
          signal: io.signal,
        });
        return message ?? `loaded ${model}`;
      });
    }),
  );
  const outcomes = loaded.flat();
  const documents = loaded.map((ofModel, index) => loadedDocument(ofModel, names[index] ?? ""));
  if (printer.json) printer.document({ agents: documents.flatMap(({ agents }) => agents) });
  else printOutcomes(session, outcomes, "RESULT", (text) => text, names.length === 1 ? "agents" : "models");
  return outcomesStatus(outcomes, io.signal);
}
