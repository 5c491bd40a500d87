// The verb jobs: the list once, or with --follow its changes.
import { jobsDocument } from "../../documents/jobs.ts";
import { flag } from "../../program/flags.ts";
import { examples, type Program } from "../base_command.ts";
import { boxClock } from "../box_clock.ts";
import { JOB_COLUMNS, jobRows } from "../output/job_table.ts";
import { noteRefused } from "../output/refused.ts";
import { noteUnavailable } from "../output/unavailable.ts";
import type { Run, Session } from "../session.ts";
import { followJobs } from "./jobs_follow.ts";

/** @param isFollowing whether the command line has --watch without a value, the old name of --follow */
export function addJobsVerb(program: Program, run: Run, isFollowing: () => boolean): void {
  program
    .command("jobs")
    .summary("List running, queued and recent pulls.")
    .description(
      "List running, queued and recent pulls, and the commands that agents refused in the last day. --follow updates the list until Ctrl-C: a table in a terminal, " +
        "a line per change in a pipe, a document per change with --json.",
    )
    .addOption(flag("--follow", "update the list until Ctrl-C"))
    .addHelpText(
      "after",
      examples("jobs", "jobs --follow", "jobs --agent gpu-1", "jobs --json | jq '.jobs[] | .state'"),
    )
    .action(async ({ follow = false }) => await run(follow || isFollowing() ? followJobs : listJobs));
}

async function listJobs(session: Session): Promise<number> {
  const { courier, printer, agents } = session;
  const found = await courier.listJobs(agents);
  const refused = await courier.refused(agents);
  if (printer.json) {
    printer.document({ ...jobsDocument(found), refused });
    return 0;
  }
  const clock = boxClock(session);
  const rows = jobRows(found.jobs, clock, printer.isTerminal);
  if (rows.length > 0) printer.table(JOB_COLUMNS, rows);
  else printer.note("No jobs", "Start one: gpuctl pull phi4");
  noteRefused(printer, refused, clock);
  noteUnavailable(printer, found.unavailable);
  return 0;
}
