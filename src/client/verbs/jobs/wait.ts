// The verb wait: follows pulls that somebody has started, and ends as they do.
import { examples, type Program } from "../../base_command.ts";
import { agentFlag } from "../../output/agent_names.ts";
import { findStarted } from "../../pulls/find_jobs.ts";
import { follow, openProgress } from "../../pulls/follow.ts";
import { MAX_WAIT, withinMaxWait } from "../../pulls/max_wait.ts";
import { reportPulled } from "../../pulls/results.ts";
import type { Run, Session } from "../../session.ts";

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
        "succeeded, as of pull. A pull that has ended counts at once. A model means its pulls under way and those that ended since " +
        "these were started; if none is under way, the last pull of each agent, except earlier ones that were cancelled.\n" +
        "After Ctrl-C the pulls continue.",
    )
    .argument("<job...>", "a job id, the end of one, or a model: its pulls on all agents, or on those of --agent")
    .addOption(MAX_WAIT)
    .addHelpText("after", examples("wait phi4", "wait da066d157a40", "wait phi4 --agent gpu-1 --max-wait 3600"))
    .action(async (words, choices) => await run(async (session) => await waitForJobs(session, words, choices)));
}

async function waitForJobs(session: Session, words: readonly string[], { maxWait }: WaitChoices): Promise<number> {
  const { courier, agents } = session;
  const { jobs: known } = await courier.listJobs(agents);
  const found = await Promise.all(words.map(async (word) => await findStarted(session, known, word)));
  const jobs = [...new Map(found.flat().map((job) => [`${job.agent} ${job.id}`, job])).values()];
  const progress = openProgress(session, jobs);
  const pulled = await withinMaxWait(session, maxWait, async (signal) => {
    try {
      for (const job of jobs) progress.show(job);
      return await Promise.all(jobs.map(async (job) => await follow(session, job, progress, signal)));
    } finally {
      progress.close();
    }
  });
  return reportPulled(session, pulled, progress, () => {
    const chosen = agents === undefined || agents === "all" ? "" : agentFlag(agents);
    return `gpuctl wait ${words.join(" ")}${chosen}`;
  });
}
