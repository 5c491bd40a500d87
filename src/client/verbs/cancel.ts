// The verb cancel.

import { asCourierError, CourierError } from "../../base/errors.ts";
import { sameModel } from "../../base/model_name.ts";
import { jobsDocument } from "../../documents/jobs.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { examples, type Program } from "../base_command.ts";
import type { Run, Session } from "../session.ts";
import { findJob } from "./jobs/find.ts";
import { type Outcome, outcomesStatus, printOutcomes } from "./outcomes.ts";

const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function addCancelVerb(program: Program, run: Run): void {
  program
    .command("cancel")
    .summary("Cancel pulls.")
    .description(
      "Cancel pulls, for everyone who asked for them. Downloaded data stays on the agent's disk, and the next " +
        "pull of the model continues from there.\nIf several agents pull the model, add --agent or --all.",
    )
    .argument("<job...>", "a model, a job id, or the end of one, as gpuctl jobs shows it")
    .addHelpText("after", examples("cancel phi4 --agent gpu-1", "cancel phi4 --all", "cancel da066d157a40"))
    .action(async (ids) => await run(async (session) => await cancelJobs(session, ids)));
}

/** @param words ids or their ends, as `gpuctl jobs` shows them, or models */
async function cancelJobs(session: Session, words: readonly string[]): Promise<number> {
  const { courier, printer, agents, io } = session;
  const { jobs: known } = await courier.listJobs(agents);
  const found = await Promise.all(words.map(async (word) => await findJobs(session, known, word)));
  const jobs = new Map(found.flat().map((job) => [`${job.agent} ${job.id}`, job]));
  const outcomes = await Promise.all([...jobs.values()].map(async (job) => await cancelJob(session, job)));
  if (printer.json) printer.document(jobsDocument({ jobs: outcomes.map((outcome) => jobAfter(outcome)) }));
  else printOutcomes(session, outcomes, "RESULT", describeCancelled, "jobs");
  return outcomesStatus(outcomes, io.signal);
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

/** @throws CourierError `conflict` when the word can mean several; `not_found` */
async function findJobs(
  { courier, agents, io }: Session,
  known: readonly Job[],
  word: string,
): Promise<readonly Job[]> {
  const job = findJob(known, word);
  if (job !== undefined) return [job];
  const pulls = known.filter((each) => !isEnded(each) && sameModel(each.model, word));
  if (pulls.length > 1 && agents === undefined)
    throw new CourierError("conflict", `Several agents pull ${word}: ${pulls.map(({ agent }) => agent).join(", ")}`, {
      hint: "Choose agents with --agent, or use --all",
    });
  if (pulls.length > 0) return pulls;
  // One that ended long ago is not in the states.
  if (WHOLE_ID.test(word)) return [await courier.findJob(word, { signal: io.signal })];
  const ended = known.find((each) => sameModel(each.model, word));
  const found =
    ended === undefined ? "" : `: the last one ${ended.state === "cancelled" ? "was cancelled" : ended.state}`;
  throw new CourierError("not_found", `No job and no running pull matches ${word}${found}`, {
    hint: "gpuctl jobs lists the jobs",
  });
}
