// The verb prune.
import { ERROR_CODES } from "../../../base/errors.ts";
import { formatBytes, visibleText } from "../../../base/format.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import type { PruneChoices, ShownPruned } from "../../../courier/disk.ts";
import { prunedDocument } from "../../../documents/models/disk.ts";
import { ExitStatus } from "../../../program/exit.ts";
import type { ChangeChoices } from "../../asking/confirm.ts";
import { askEach, chosenViews, type Outcome, outcomesStatus, printOutcomes } from "../../asking/outcomes.ts";
import { DRY_RUN, examples, type Program, YES } from "../../base_command.ts";
import { parseAgents } from "../../output/agent_names.ts";
import { countText } from "../../output/counts.ts";
import type { Run, Session } from "../../session.ts";

type Choices = ChangeChoices & PruneChoices;

export function addPruneVerb(program: Program, run: Run): void {
  program
    .command("prune")
    .summary("Remove what downloads and deletes left on the disk.")
    .description(
      "Remove unfinished downloads and orphaned blobs; without a choice, both. Keeps what a model or a pull needs, and what changed " +
        "in the last hour. Removes nothing while a pull runs. The agent needs the right to write in Ollama's folder.",
    )
    .argument("[agent...]", "as for --agent: a name, pattern or range", parseAgents)
    .option("--partials", "unfinished downloads; a later pull then starts them again")
    .option("--orphans", "whole blobs that no model has")
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText("after", examples("prune gpu-1 --dry-run", "prune --partials --all", "prune 'gpu-[1-3]' --yes"))
    .action(async (named, choices) => {
      await run(async (session) => await pruneAgents(session, choices), named);
    });
}

async function pruneAgents(session: Session, { yes = false, dryRun = false, ...kinds }: Choices): Promise<number> {
  const { printer, io } = session;
  const views = await chosenViews(session);
  const ask = async (asDryRun: boolean): Promise<Outcome<ShownPruned>[]> => {
    const choices = { partials: kinds.partials, orphans: kinds.orphans, ...(asDryRun ? { dryRun: true } : {}) };
    return await askEach(views, async (agent) => await session.courier.prune(agent, choices, { signal: io.signal }));
  };
  const planned = dryRun || (!yes && !printer.json && io.ask !== undefined) ? await ask(true) : null;
  const goesOn = planned === null || (!dryRun && (await mayRemove(session, views, planned)));
  const outcomes = planned === null || goesOn ? await ask(false) : planned;
  if (printer.json) printer.document(prunedDocument(outcomes));
  else {
    printOutcomes(session, outcomes, dryRun ? "DRY RUN" : "RESULT", describePruned);
    if (dryRun) printer.note("Nothing was changed");
  }
  return outcomesStatus(outcomes, io.signal);
}

/**
 * @returns false when there is nothing to remove, and so nothing to ask
 * @throws ExitStatus that of `cancelled` when the answer is not yes: nothing was changed, which is printed
 */
async function mayRemove(
  { io, printer }: Session,
  views: readonly AgentView[],
  planned: readonly Outcome<ShownPruned>[],
): Promise<boolean> {
  const found = planned.flatMap(({ answer }) => (answer === undefined ? [] : [answer]));
  const count = found.reduce((sum, each) => sum + each.count, 0);
  if (count === 0) return false;
  const bytes = found.reduce((sum, each) => sum + each.bytes, 0);
  const [only] = views;
  const place = views.length === 1 && only !== undefined ? only.agent : `${views.length} boxes`;
  const question = `Remove ${countText(count, "blob")} (${formatBytes(bytes)}) from ${place}`;
  const answer = await io.ask?.(`${visibleText(question, " ")}? [y/N] `);
  if (typeof answer === "string" && /^y(?:es)?$/i.test(answer.trim())) return true;
  printer.note("Nothing was changed");
  throw new ExitStatus(ERROR_CODES.cancelled.exit);
}

function describePruned({ dry_run, count, bytes, kept, truncated = [] }: ShownPruned): string {
  const done = dry_run ? "would remove" : "removed";
  const removed = count === 0 ? "nothing to remove" : `${done} ${countText(count, "blob")}, ${formatBytes(bytes)}`;
  const [first] = kept;
  if (first === undefined) return removed;
  const reasons = new Set(kept.map(({ reason }) => reason));
  const more = truncated.includes("kept") ? "over " : "";
  return `${removed}; ${more}${countText(kept.length, "blob")} kept: ${first.reason}${reasons.size > 1 ? ", and other reasons" : ""}`;
}
