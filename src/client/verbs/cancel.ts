// The verb cancel.

import { asCourierError } from "../../base/errors.ts";
import { jobsDocument } from "../../documents/jobs.ts";
import type { PlannedChange } from "../../documents/planned.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { type ChangeChoices, mayChange } from "../asking/confirm.ts";
import { type Outcome, outcomesStatus, printOutcomes } from "../asking/outcomes.ts";
import { planOf } from "../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../base_command.ts";
import { findJobs } from "../pulls/find_jobs.ts";
import type { Run, Session } from "../session.ts";

export function addCancelVerb(program: Program, run: Run): void {
  program
    .command("cancel")
    .summary("Cancel pulls.")
    .description(
      "Cancel pulls, for everyone who asked for them. Downloaded data stays on the agent's disk, and the next " +
        "pull of the model continues from there.\nIf several agents pull the model, add --agent or --all.",
    )
    .argument("<job...>", "a model, a job id, or the end of one, as gpuctl jobs shows it")
    .addOption(YES)
    .addOption(DRY_RUN)
    .addHelpText("after", examples("cancel phi4 --agent gpu-1", "cancel phi4 --all", "cancel da066d157a40"))
    .action(async (ids, choices) => await run(async (session) => await cancelJobs(session, ids, choices)));
}

/** @param words ids or their ends, as `gpuctl jobs` shows them, or models */
async function cancelJobs(session: Session, words: readonly string[], choices: ChangeChoices): Promise<number> {
  const { courier, printer, agents, io } = session;
  const { jobs: known } = await courier.listJobs(agents);
  const found = await Promise.all(words.map(async (word) => await findJobs(session, known, word)));
  const jobs = new Map(found.flat().map((job) => [`${job.agent} ${job.id}`, job]));
  if (!(await mayChange(session, async () => planOf([...jobs.values()].map(plannedCancel)), choices))) return 0;
  const outcomes = await Promise.all([...jobs.values()].map(async (job) => await cancelJob(session, job)));
  if (printer.json) printer.document(jobsDocument({ jobs: outcomes.map((outcome) => jobAfter(outcome)) }));
  else printOutcomes(session, outcomes, "RESULT", describeCancelled, "jobs");
  return outcomesStatus(outcomes, io.signal);
}

function plannedCancel(job: Job): PlannedChange {
  const { agent, model, id } = job;
  const skipped = isEnded(job) ? `${model} has already ${job.state}` : null;
  return { agent, model, verb: "cancel", ...(id === null ? {} : { job: id }), size: job.total_bytes, skipped };
}

type Cancelled = Outcome<Job> & { readonly job: Job };

async function cancelJob({ courier, io }: Session, job: Job): Promise<Cancelled> {
  try {
    return { job, agent: job.agent, answer: await courier.cancelJob(job, { signal: io.signal }) };
  } catch (error) {
    return { job, agent: job.agent, error: asCourierError(error) };
  }
}

/** The error of a cancelled job is `Cancelled`, with more after a colon or a full stop. */
function describeCancelled({ model, error }: Job): string {
  return `cancelled ${model}${error?.replace(/^cancelled(?: before it began)?/i, "") ?? ""}`;
}

/** A job that could not be cancelled keeps its state, with the error. */
function jobAfter({ job, answer, error }: Cancelled): Job {
  return answer ?? { ...job, code: error?.code ?? null, error: error?.message ?? null };
}
