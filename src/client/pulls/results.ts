// How followed pulls ended: a table, the failures, what continues without gpuctl, and the exit status.
import { CourierError, ERROR_CODES, type ErrorCode } from "../../base/errors.ts";
import { namesText } from "../../base/order.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { exitStatus } from "../asking/outcomes.ts";
import { boxClock } from "../box_clock.ts";
import { stateTone } from "../output/job_table.ts";
import { describeProgress } from "../output/job_text.ts";
import type { Progress } from "../output/progress.ts";
import { PullBoard } from "../output/pull_board.ts";
import { MODEL_NAME } from "../output/table.ts";
import { noteUnavailable, withoutManyAway } from "../output/unavailable.ts";
import type { Session } from "../session.ts";
import type { Pulled } from "./follow.ts";

/**
 * Prints how pulls came out, after Ctrl-C also those that continue.
 * @param again the command line that follows those again
 * @returns the exit status
 */
export function reportPulled(
  session: Session,
  pulled: readonly Pulled[],
  progress: Progress,
  again: (left: readonly Job[]) => string,
): number {
  const { io, printer } = session;
  const left = pulled.filter(({ job }) => io.signal.aborted && !isEnded(job));
  const ended = pulled.filter((each) => !left.includes(each));
  if (!printer.json) {
    // A line for each agent is a table already, and pulls that continue have no result yet.
    const isTable = progress instanceof PullBoard && progress.showsAll;
    const { shown } = withoutManyAway(pulled);
    if (pulled.length > 1 && shown.length > 0 && left.length === 0 && !isTable) printTable(session, shown);
    printFailures(session, ended, pulled.length);
  }
  const jobs = left.map(({ job }) => job);
  if (jobs.length > 0) return reportDetached(session, jobs, again(jobs));
  return exitStatus(
    pulled.map(({ job }) => failureCode(job)),
    io.signal,
  );
}

/** Prints why these pulls failed. @param asked how many pulls there are in all */
export function printFailures({ printer }: Session, pulled: readonly Pulled[], asked: number): void {
  const failed = pulled.filter(({ job }) => failureCode(job) !== null);
  const isOneModel = new Set(pulled.map(({ job }) => job.model)).size <= 1;
  const { shown, away } = withoutManyAway(failed);
  for (const { job, error } of shown) {
    const failure = error ?? failureOf(job);
    const { code, message, saidBy } = failure;
    // Its words are printed under its name anyway.
    const where = asked === 1 || (saidBy !== undefined && !printer.json) ? "" : `${job.agent}: `;
    const hint = job.id === null ? `Check whether it was pulled: gpuctl list --agent ${job.agent}` : failure.hint;
    printer.error(new CourierError(code, `${where}${message}`, { hint, saidBy }));
  }
  noteUnavailable(printer, away, "asked");
  if (failed.length > 0 && asked > 1)
    printer.note(`${failed.length} of ${asked} ${isOneModel ? "agents" : "pulls"} failed`);
}

/** Null when it succeeded. */
export function failureCode({ state, code }: Job): ErrorCode | null {
  return state === "succeeded" ? null : (code ?? "internal");
}

/** Only a legacy service's pull has no id, and an error of our own. */
function failureOf(job: Job): CourierError {
  const { id, agent, state, error } = job;
  const saidBy = error === null || id === null ? undefined : agent;
  return new CourierError(failureCode(job) ?? "internal", error ?? `The pull is ${state}`, { saidBy });
}

function printTable(session: Session, pulled: readonly Pulled[]): void {
  const nowMs = boxClock(session);
  const models =
    new Set(pulled.map(({ job }) => job.model)).size > 1 ? [{ title: "MODEL", ...MODEL_NAME, minimum: 14 }] : [];
  session.printer.table(
    [{ title: "AGENT" }, ...models, { title: "STATE", tone: stateTone }, { title: "RESULT", flexible: true }],
    pulled.map(({ job }) => [
      job.agent,
      ...models.map(() => job.model),
      job.state,
      job.code ?? describeProgress(job, nowMs(job.agent)),
    ]),
  );
}

/** The pulls continue without gpuctl. */
function reportDetached({ printer }: Session, left: readonly Job[], again: string): number {
  const agents = [...new Set(left.map(({ agent }) => agent))];
  const models = [...new Set(left.map(({ model }) => model))].join(", ");
  const message = `Detached: ${namesText(agents)} ${agents.length === 1 ? "continues" : "continue"} to pull ${models}`;
  const hint = `gpuctl jobs shows its progress, ${again} follows it again`;
  if (printer.json) return printer.error(new CourierError("cancelled", message, { hint }));
  printer.note(message, hint);
  return ERROR_CODES.cancelled.exit;
}
