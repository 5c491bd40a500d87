// The verb rm.
import { formatBytes } from "../../base/format.ts";
import { normalModelName, sameModel } from "../../base/model_name.ts";
import { deletedDocument } from "../../documents/outcomes.ts";
import type { Response } from "../../protocol.ts";
import { examples, type Program } from "../base_command.ts";
import type { Run, Session } from "../session.ts";
import { askEach, chosenViews, outcomesStatus, printOutcomes } from "./outcomes.ts";

export function addRmVerb(program: Program, run: Run): void {
  program
    .command("rm")
    .description("Delete models.")
    .argument("<model...>", "as gpuctl list shows it")
    .addHelpText("after", examples("rm phi4", "rm phi4 llama3.2:1b --agent gpu-1", "rm phi4 --all"))
    .action(async (models) => await run(async (session) => await removeModels(session, models)));
}

/** Each model on each agent has its own result. */
async function removeModels(session: Session, models: readonly string[]): Promise<number> {
  const { courier, printer, io } = session;
  const names = distinctNames(models);
  const views = await chosenViews(session);
  const removed = await Promise.all(
    names.map(async (name) => {
      const outcomes = await askEach(views, async (agent) => {
        return { name, response: await courier.deleteModel(agent, name, { signal: io.signal }) };
      });
      return outcomes.map((outcome) => ({ ...outcome, model: name }));
    }),
  );
  const outcomes = removed.flat();
  if (printer.json)
    printer.document(deletedDocument(outcomes.map((each) => ({ ...each, answer: each.answer?.response }))));
  else {
    const counted = names.length === 1 ? "agents" : "deletions";
    printOutcomes(session, outcomes, "RESULT", ({ name, response }) => describeDeleted(name, response), counted);
  }
  return outcomesStatus(outcomes, io.signal);
}

/** In Ollama's form, each model once however it is spelled: to delete it twice would fail. */
function distinctNames(models: readonly string[]): string[] {
  const names = models.map((model) => normalModelName(model));
  return names.filter((name, index) => names.findIndex((other) => sameModel(other, name)) === index);
}

function describeDeleted(name: string, answer: Response): string {
  const { job } = answer;
  if (job === undefined) return `deleted ${name}${describeFreed(answer)}`;
  const remains = job.partial_bytes ? `, ${formatBytes(job.partial_bytes)} remain for the next pull` : "";
  return `cancelled the pull of ${name}, which was not installed${remains}`;
}

/** Empty if the agent cannot read its disk, or is a legacy service. */
function describeFreed({ freed_bytes, shared_bytes }: Response): string {
  const freed = freed_bytes === null || freed_bytes === undefined ? "" : `, freed ${formatBytes(freed_bytes)}`;
  return shared_bytes ? `${freed}; ${formatBytes(shared_bytes)} still used by other models` : freed;
}
