// The verb cancel.

import { asCourierError, type CourierError, ERROR_CODES } from "../../../base/errors.ts";
import { jobsDocument } from "../../../documents/jobs.ts";
import type { PlannedChange } from "../../../documents/planned.ts";
import { isEnded, type Job } from "../../../protocol.ts";
import { type ChangeChoices, mayChange } from "../../asking/confirm.ts";
import { type Outcome, outcomesStatus, printOutcomes } from "../../asking/outcomes.ts";
import { planOf } from "../../asking/plan.ts";
import { DRY_RUN, examples, type Program, YES } from "../../base_command.ts";
import { askedInVain } from "../../output/unavailable.ts";
import { findJobs } from "../../pulls/find_jobs.ts";
import type { Run, Session } from "../../session.ts";

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
  const { jobs, unmatched } = await findAll(session, known, words);
  // Before the question, whose answer may depend on them.
  for (const { error } of unmatched) printer.error(error);
  if (jobs.length === 0) return unmatchedStatus(unmatched);
  const plan = planOf(jobs.map(plannedCancel));
  if (!(await mayChange(session, async () => plan, choices))) return outcomesStatus(unmatched, io.signal);
  const outcomes = await Promise.all(jobs.map(async (job) => await cancelJob(session, job)));
  if (printer.json) printer.document(jobsDocument({ jobs: outcomes.map((outcome) => jobAfter(outcome)) }));
  else printOutcomes(session, outcomes, "RESULT", describeCancelled, "jobs");
  return outcomesStatus([...outcomes, ...unmatched], io.signal);
}

/** A word that means no job, or several: the other words are served. */
interface Unmatched {
  readonly error: CourierError;
}

/** Each job once, however many words mean it. Never rejects. */
async function findAll(
  session: Session,
  known: readonly Job[],
  words: readonly string[],
): Promise<{ readonly jobs: readonly Job[]; readonly unmatched: readonly Unmatched[] }> {
  const find = async (word: string): Promise<readonly Job[] | Unmatched> => {
    try {
      return await findJobs(session, known, word);
    } catch (error) {
      return { error: asCourierError(error) };
    }
  };
  const found = await Promise.all(words.map(find));
  const jobs = found.flatMap((each) => ("error" in each ? [] : each));
  return {
    jobs: [...new Map(jobs.map((job) => [`${job.agent} ${job.id}`, job])).values()],
    unmatched: found.flatMap((each) => ("error" in each ? [each] : [])),
  };
}

/** That of the errors, if all are alike. */
function unmatchedStatus(unmatched: readonly Unmatched[]): number {
  const statuses = new Set(unmatched.map(({ error }) => ERROR_CODES[error.code].exit));
  const [only = 1] = statuses;
  return statuses.size === 1 ? only : 1;
}

function plannedCancel(job: Job): PlannedChange {
  const { agent, model, id } = job;
  const skipped = isEnded(job) ? `${model} has already ${job.state}` : null;
  return { agent, model, verb: "cancel", ...(id === null ? {} : { job: id }), size: job.total_bytes, skipped };
}

type Cancelled = Outcome<Job> & { readonly job: Job };

async function cancelJob({ courier, io }: Session, job: Job): Promise<Cancelled> {
  const { agent } = job;
  const view = courier.lastKnownAgents().find((each) => each.agent === agent);
  try {
    return { job, agent, answer: await courier.cancelJob(job, { signal: io.signal }) };
  } catch (caught) {
    const error = asCourierError(caught);
    return { job, agent, error, ...askedInVain(view, error) };
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
