// The verb jobs: the list once, or with --follow its changes, or the jobs that are named.
import { CourierError } from "../../base/errors.ts";
import type { Unavailable } from "../../courier/unavailable.ts";
import type { Refused } from "../../documents/contact.ts";
import { jobsDocument } from "../../documents/jobs.ts";
import { flag, parse } from "../../program/flags.ts";
import type { Job } from "../../protocol.ts";
import { examples, type Program } from "../base_command.ts";
import { boxClock } from "../box_clock.ts";
import { JOB_COLUMNS, jobRows } from "../output/job_table.ts";
import { lastSeen } from "../output/last_seen.ts";
import { noteRefused } from "../output/refused.ts";
import { offlineLines } from "../output/unavailable.ts";
import type { Run, Session, Verb } from "../session.ts";
import { chooseJobs, type JobChoice, parseState, STATES } from "./jobs/choice.ts";
import { followJobs } from "./jobs/follow.ts";
import { isOfAgents, namedJobs, showJob } from "./jobs/named.ts";

/** Of those that ended, on a terminal, where the newest matter; a pipe gets all. */
const TERMINAL_ENDED = 10;

interface JobFlags {
  readonly follow?: true;
  readonly active?: true;
  readonly wide?: true;
  readonly state?: readonly string[];
  readonly limit?: number;
}

/** @param isFollowing whether the command line has --watch without a value, the old name of --follow */
export function addJobsVerb(program: Program, run: Run, isFollowing: () => boolean): void {
  program
    .command("jobs")
    .summary("List running, queued and recent pulls, or show some of them.")
    .description(
      "List running, queued and recent pulls, and the commands and pulls that agents refused in the last day. With an id, show " +
        "everything about that job; with a model or several words, only those jobs. --follow updates the list until Ctrl-C: a table in a terminal, a line per change " +
        "in a pipe, a document per change with --json.",
    )
    .argument(
      "[job...]",
      "a job id, or its beginning or end, or a model: its pulls on all agents, or on those of --agent",
    )
    .addOption(flag("--follow", "update the list until Ctrl-C; also --watch"))
    .addOption(flag("--active", "only jobs that have not ended"))
    .addOption(
      flag("--state <state>", "only jobs in this state; repeat, or separate with commas")
        .choices(STATES)
        .argParser(parse.list(parseState)),
    )
    .addOption(
      flag(
        "--limit <n>",
        `how many jobs at most, active ones first (default: active ones and the last ${TERMINAL_ENDED} that ended in a terminal, else all)`,
      ).argParser(parse.count),
    )
    .addOption(flag("--wide", "show everything, wider than the terminal"))
    .addHelpText(
      "after",
      examples(
        "jobs",
        "jobs phi4",
        "jobs --follow --active",
        "jobs --state failed --limit 50",
        "jobs da066d157a40",
        "jobs --json | jq '.jobs[] | .state'",
      ),
    )
    .action(async (words, flags) => await run(chooseVerb(words, flags, flags.follow === true || isFollowing())));
}

function chooseVerb(words: readonly string[], flags: JobFlags, follows: boolean): Verb {
  const [first] = words;
  if (follows && first !== undefined)
    throw new CourierError("invalid", "--follow takes no job: it shows all jobs, or those of --agent", {
      hint: isOfAgents(first) ? `Use --agent '${first}'` : `gpuctl wait ${words.join(" ")} follows to the end`,
    });
  return async (session) => {
    const choice = choiceOf(flags, session.printer.isTerminal && !session.printer.json);
    return follows ? await followJobs(session, choice) : await listJobs(session, words, choice, flags.wide === true);
  };
}

function choiceOf({ active, state, limit }: JobFlags, isTerminal: boolean): JobChoice {
  return {
    states: state,
    isActive: active === true,
    limit: limit ?? Number.POSITIVE_INFINITY,
    endedLimit: limit === undefined && isTerminal ? TERMINAL_ENDED : Number.POSITIVE_INFINITY,
  };
}

async function listJobs(
  session: Session,
  words: readonly string[],
  choice: JobChoice,
  isWide: boolean,
): Promise<number> {
  const { courier, agents } = session;
  const { jobs, unavailable } = await courier.listJobs(agents);
  const known = { jobs, refused: await courier.refused(agents) };
  const named = words.length === 0 ? { ...known, only: undefined } : await namedJobs(session, known, words);
  if (named.only !== undefined) showJob(session, named.only);
  else printJobs(session, { ...named, unavailable }, choice, isWide);
  return 0;
}

interface FoundJobs {
  readonly jobs: readonly Job[];
  readonly refused: readonly Refused[];
  readonly unavailable: readonly Unavailable[];
}

function printJobs(session: Session, found: FoundJobs, choice: JobChoice, isWide: boolean): void {
  const { courier, printer } = session;
  const { jobs, refused, unavailable } = found;
  const seen = lastSeen(courier.lastKnownAgents());
  const { shown, total } = chooseJobs(jobs, choice, seen);
  if (printer.json) {
    const isShown = new Set(shown);
    printer.document({ ...jobsDocument({ jobs: jobs.filter((job) => isShown.has(job)), unavailable }), refused });
    return;
  }
  const clock = boxClock(session);
  const rows = jobRows(shown, clock, { isShort: printer.isTerminal, isWide, lastSeen: seen });
  if (rows.length > 0) printer.table(JOB_COLUMNS, rows, isWide ? Number.POSITIVE_INFINITY : printer.width);
  else if (jobs.length > 0 || refused.length > 0) printer.note("No such jobs");
  else printer.note("No jobs", "Start one: gpuctl pull phi4");
  if (total > shown.length) printer.note(`${total - shown.length} more: --limit ${total} shows them`);
  noteRefused(printer, refused, clock, shown);
  for (const line of offlineLines(unavailable, printer.width, seen)) printer.note(line);
}
