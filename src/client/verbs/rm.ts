// The verb rm.
import { CourierError, ERROR_CODES } from "../../base/errors.ts";
import { formatBytes } from "../../base/format.ts";
import { normalModelName, sameModel } from "../../base/model_name.ts";
import { deletedDocument } from "../../documents/outcomes.ts";
import type { Response } from "../../protocol.ts";
import { type ChangeChoices, mayChange } from "../asking/confirm.ts";
import { askEach, chosenViews, exitStatus, type Outcome, printOutcomes } from "../asking/outcomes.ts";
import { planChanges } from "../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../base_command.ts";
import type { Run, Session } from "../session.ts";

export function addRmVerb(program: Program, run: Run): void {
  program
    .command("rm")
    .aliases(["delete", "remove"])
    .summary("Delete models.")
    .description(
      "Delete models. Of several agents, those without the model count as done: the exit status is 66 only if no agent had it.",
    )
    .argument("<model...>", "as gpuctl list shows it")
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText("after", examples("rm phi4", "rm phi4 llama3.2:1b --agent gpu-1", "rm phi4 --all --dry-run"))
    .action(async (models, choices) => await run(async (session) => await removeModels(session, models, choices)));
}

type Deletion = Outcome<Response> & { readonly model: string };

/** Each model on each agent has its own result. */
async function removeModels(session: Session, models: readonly string[], choices: ChangeChoices): Promise<number> {
  const { courier, printer, io } = session;
  const names = distinctNames(models);
  const views = await chosenViews(session);
  if (!(await mayChange(session, async () => await planChanges(session, "delete", views, names), choices))) return 0;
  const deletions = await Promise.all(
    names.map(async (model): Promise<Deletion[]> => {
      const outcomes = await askEach(views, async (agent) => {
        return await courier.deleteModel(agent, model, { signal: io.signal });
      });
      return outcomes.map((outcome) => ({ ...outcome, model }));
    }),
  );
  if (printer.json) printer.document(deletedDocument(deletions.flat()));
  else printDeletions(session, deletions);
  return removalStatus(deletions, io.signal);
}

/** In Ollama's form, each model once however it is spelled: to delete it twice would fail. */
function distinctNames(models: readonly string[]): string[] {
  const names = models.map((model) => normalModelName(model));
  return names.filter((name, index) => names.findIndex((other) => sameModel(other, name)) === index);
}

/** The agent itself reports that it does not have the model. */
function isAbsent({ error }: Deletion): boolean {
  return error?.code === "not_found" && error.saidBy !== undefined;
}

/** @param deletions by model: one that several agents were asked for need not be on each of them */
function printDeletions(session: Session, deletions: readonly (readonly Deletion[])[]): void {
  const shown = deletions.flatMap((ofModel) =>
    ofModel.map((each): Outcome<string> => {
      const { agent, model, answer, error, away } = each;
      // In Ollama's words it is longer, and different from the words of a list.
      const absent = `${model} is not installed`;
      if (isAbsent(each))
        return ofModel.length > 1 ? { agent, answer: absent } : { agent, error: new CourierError("not_found", absent) };
      if (error !== undefined) return { agent, error, away };
      return { agent, answer: describeDeleted(model, answer) };
    }),
  );
  printOutcomes(session, shown, "RESULT", (text) => text, deletions.length === 1 ? "agents" : "deletions");
  for (const ofModel of deletions)
    if (ofModel.length > 1 && ofModel.every(isAbsent))
      session.printer.error(new CourierError("not_found", `No agent has ${ofModel[0]?.model}`));
}

function removalStatus(deletions: readonly (readonly Deletion[])[], signal: AbortSignal): number {
  const left = deletions.flatMap((ofModel) => {
    const isGone = ofModel.length > 1 && ofModel.some((each) => !isAbsent(each));
    return ofModel.map((each) => (isGone && isAbsent(each) ? null : (each.error?.code ?? null)));
  });
  return left.every((code) => code === "not_found") ? ERROR_CODES.not_found.exit : exitStatus(left, signal);
}

function describeDeleted(name: string, answer: Response | undefined): string {
  if (answer?.job === undefined) return `deleted ${name}${describeFreed(answer)}`;
  const { partial_bytes } = answer.job;
  const remains = partial_bytes ? `, ${formatBytes(partial_bytes)} remain for the next pull` : "";
  return `cancelled the pull of ${name}, which was not installed${remains}`;
}

/** Empty if the agent cannot read its disk, or is a legacy service. */
function describeFreed({ freed_bytes, shared_bytes }: Partial<Response> = {}): string {
  const freed = freed_bytes === null || freed_bytes === undefined ? "" : `, freed ${formatBytes(freed_bytes)}`;
  return shared_bytes ? `${freed}; ${formatBytes(shared_bytes)} still used by other models` : freed;
}
