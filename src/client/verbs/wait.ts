// The verb wait: follows pulls that somebody has started, and ends as they do.
import { CourierError } from "../../base/errors.ts";
import { flag, parse } from "../../program/flags.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { examples, type Program } from "../base_command.ts";
import { findStarted } from "../pulls/find_jobs.ts";
import { follow, openProgress, type Pulled } from "../pulls/follow.ts";
import { reportPulled } from "../pulls/results.ts";
import type { Run, Session } from "../session.ts";

interface WaitChoices {
  /** In seconds; undefined: to the end. */
  readonly maxWait?: number | undefined;
}

export function addWaitVerb(program: Program, run: Run): void {
  program
    .command("wait")
    .summary("Wait for the end of pulls.")
    .description(
      "Wait for the end of pulls, for example of `pull --detach`, and show their progress. The exit status is 0 only if all " +
        "succeeded, as of pull. A pull that has ended counts at once. After Ctrl-C the pulls continue.",
    )
    .argument("<job...>", "a job id, the end of one, or a model: its pulls on all agents, or on those of --agent")
    .addOption(
      flag("--max-wait <seconds>", "end with exit status 75 if the pulls take longer").argParser(parse.seconds),
    )
    .addHelpText("after", examples("wait phi4", "wait da066d157a40", "wait phi4 --agent gpu-1 --max-wait 3600"))
    .action(async (words, choices) => await run(async (session) => await waitForJobs(session, words, choices)));
}

async function waitForJobs(session: Session, words: readonly string[], { maxWait }: WaitChoices): Promise<number> {
  const { courier, io, agents } = session;
  const { jobs: known } = await courier.listJobs(agents);
  const found = await Promise.all(words.map(async (word) => await findStarted(session, known, word)));
  const jobs = [...new Map(found.flat().map((job) => [`${job.agent} ${job.id}`, job])).values()];
  const late = new AbortController();
  const ended = new AbortController();
  const signal = AbortSignal.any([io.signal, late.signal]);
  if (maxWait !== undefined) void abortAfter(session, maxWait, late, ended.signal);
  const progress = openProgress(session, jobs);
  let pulled: Pulled[];
  try {
    for (const job of jobs) progress.show(job);
    pulled = await Promise.all(jobs.map(async (job) => await follow(session, job, progress, signal)));
  } finally {
    ended.abort();
    progress.close();
  }
  const left = pulled.filter(({ job }) => !isEnded(job));
  if (late.signal.aborted && !io.signal.aborted && left.length > 0)
    throw new CourierError("deadline_exceeded", `Not done within ${maxWait} s: ${describeLeft(left)}`, {
      hint: "The pulls continue: gpuctl jobs shows their progress",
    });
  return reportPulled(session, pulled, progress, () => `gpuctl wait ${words.join(" ")}`);
}

async function abortAfter({ io }: Session, seconds: number, late: AbortController, ended: AbortSignal): Promise<void> {
  await io.clock.sleep(seconds * 1000, ended);
  if (!ended.aborted) late.abort();
}

function describeLeft(left: readonly { readonly job: Job }[]): string {
  return left.map(({ job }) => `${job.model} on ${job.agent}`).join(", ");
}
