// The verb pull: starts or joins the pull on every agent asked and follows it.
import { isoTime } from "../../base/clock.ts";
import { asCourierError, CourierError, ERROR_CODES, type ErrorCode } from "../../base/errors.ts";
import { normalModelName } from "../../base/model_name.ts";
import { refusedJob } from "../../documents/jobs.ts";
import { flag } from "../../program/flags.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { examples, type Program } from "../base_command.ts";
import { boxClock, liveBoxClock } from "../box_clock.ts";
import { rangesText } from "../output/agent_names.ts";
import { stateTone } from "../output/job_table.ts";
import { describeProgress } from "../output/job_text.ts";
import type { Printer } from "../output/printer.ts";
import { JsonProgress, LineProgress, type Progress } from "../output/progress.ts";
import { PullBoard } from "../output/pull_board.ts";
import type { Run, Session } from "../session.ts";
import { chosenViews, exitStatus } from "./outcomes.ts";

/** How one agent's pull came out, as far as it was seen. */
interface Pulled {
  readonly job: Job;
  /** The failure with its hint; undefined when the job itself has it. */
  readonly error?: CourierError;
}

/** How often an agent not reporting is looked for. */
const LOOK_AGAIN_MS = 500;

/** So many agents are named one by one. */
const FEW = 5;

interface PullChoices {
  /** Also where the disk is too small. */
  readonly force: boolean;
}

export function addPullVerb(program: Program, run: Run): void {
  program
    .command("pull")
    .summary("Pull a model and follow it to the end.")
    .description(
      "Pull a model and follow it to the end. Joins a pull that is already running. After Ctrl-C the pull continues.\n" +
        "The exit status is 0 only if every agent has the model in the end.",
    )
    .argument("<model>", "as Ollama names it: phi4, user/model:tag, registry.example:5000/user/model:tag")
    .addOption(flag("--force", "pull even if the agent says the model does not fit"))
    .addHelpText(
      "after",
      examples("pull phi4", "pull llama3.2:1b --agent gpu-1 --agent gpu-2", "pull phi4 --all --json"),
    )
    .action(
      async (model, { force = false }) => await run(async (session) => await pullModel(session, model, { force })),
    );
}

async function pullModel(session: Session, model: string, choices: PullChoices): Promise<number> {
  const { io } = session;
  const name = normalModelName(model);
  const views = await chosenViews(session);
  const names = views.map(({ agent }) => agent);
  const progress = openProgress(session, names);
  let pulled: Pulled[];
  try {
    pulled = await Promise.all(names.map(async (agent) => await pullOn(session, agent, name, choices, progress)));
  } finally {
    progress.close();
  }
  const left = pulled.filter(({ job }) => io.signal.aborted && !isEnded(job)).map(({ job }) => job.agent);
  if (!session.printer.json) printResults(session, pulled, left, progress);
  if (left.length > 0) return printDetached(session, name, left, pulled.length);
  return exitStatus(
    pulled.map(({ job }) => failureCode(job)),
    io.signal,
  );
}

function openProgress(session: Session, agents: readonly string[]): Progress {
  const { printer, io } = session;
  const nowMs = liveBoxClock(session);
  if (printer.json) return new JsonProgress(printer);
  return printer.isLive ? new PullBoard(printer, io.clock, agents, nowMs) : new LineProgress(printer, io.clock, nowMs);
}

async function pullOn(
  session: Session,
  agent: string,
  model: string,
  { force }: PullChoices,
  progress: Progress,
): Promise<Pulled> {
  const { courier, io } = session;
  try {
    const job = await courier.pullModel(agent, model, { force, signal: io.signal });
    progress.show(job);
    return job.id === null || isEnded(job) ? { job } : await follow(session, job, job.id, progress);
  } catch (error) {
    const refusal = asCourierError(error);
    const job = refusedJob(agent, model, refusal, Bun.randomUUIDv7(), isoTime(courier.now()));
    progress.show(job);
    return { job, error: refusal };
  }
}

/** Follows to the end, and over times when the agent or the share is away: as long as `--timeout`, then it gives up. */
async function follow(session: Session, first: Job, id: string, progress: Progress): Promise<Pulled> {
  const { courier, io, timeoutMs } = session;
  let job = first;
  let lostAtMs: number | undefined;
  for (;;) {
    try {
      for await (const next of courier.followJob(job.agent, id, io.signal)) {
        if (lostAtMs !== undefined || JSON.stringify(next) !== JSON.stringify(job)) progress.show(next);
        lostAtMs = undefined;
        job = next;
      }
      return { job };
    } catch (error) {
      const failure = asCourierError(error);
      lostAtMs ??= io.clock.monotonic();
      const givesUp = failure.code !== "unavailable" || io.clock.monotonic() - lostAtMs >= timeoutMs;
      if (givesUp || io.signal.aborted) return lastSeen(job, failure, progress);
      progress.lost(job, failure.spoken.message);
      await io.clock.sleep(LOOK_AGAIN_MS, io.signal);
    }
  }
}

/** The job may still be running: it keeps its last state, with the reason why it is no longer followed. */
function lastSeen(last: Job, error: CourierError, progress: Progress): Pulled {
  const job: Job = { ...last, code: error.code, error: error.message };
  if (error.code !== "cancelled") progress.show(job);
  return { job, error };
}

function failureCode({ state, code }: Job): ErrorCode | null {
  return state === "succeeded" ? null : (code ?? "internal");
}

/** Only a legacy service's pull has no id, and an error of our own. */
function failureOf(job: Job): CourierError {
  const { id, agent, state, error } = job;
  const saidBy = error === null || id === null ? undefined : agent;
  return new CourierError(failureCode(job) ?? "internal", error ?? `The pull is ${state}`, { saidBy });
}

/** A line for each agent is a table already, and pulls that continue have no result yet. */
function printResults(
  session: Session,
  pulled: readonly Pulled[],
  detached: readonly string[],
  progress: Progress,
): void {
  const { printer } = session;
  const nowMs = boxClock(session);
  if (pulled.length > 1 && detached.length === 0 && !(progress instanceof PullBoard && progress.showsAll))
    printer.table(
      [{ title: "AGENT" }, { title: "STATE", tone: stateTone }, { title: "RESULT", flexible: true }],
      pulled.map(({ job }) => [job.agent, job.state, job.code ?? describeProgress(job, nowMs(job.agent))]),
    );
  printFailures(printer, pulled, detached);
}

function printFailures(printer: Printer, pulled: readonly Pulled[], detached: readonly string[]): void {
  const failed = pulled.filter(({ job }) => failureCode(job) !== null && !detached.includes(job.agent));
  for (const { job, error } of failed) {
    const failure = error ?? failureOf(job);
    const { code, message, saidBy } = failure;
    // Its words are printed under its name anyway.
    const where = pulled.length === 1 || (saidBy !== undefined && !printer.json) ? "" : `${job.agent}: `;
    const hint = job.id === null ? `Check whether it was pulled: gpuctl list --agent ${job.agent}` : failure.hint;
    printer.error(new CourierError(code, `${where}${message}`, { hint, saidBy }));
  }
  if (failed.length > 0 && pulled.length > 1) printer.note(`${failed.length} of ${pulled.length} agents failed`);
}

/** After Ctrl-C the pulls continue without gpuctl. */
function printDetached(session: Session, model: string, left: readonly string[], asked: number): number {
  const message = `Detached: ${left.length > FEW ? rangesText(left) : left.join(", ")} ${left.length === 1 ? "continues" : "continue"} to pull ${model}`;
  const where = agentFlags(session, left, asked);
  const hint = `gpuctl jobs shows its progress, gpuctl pull ${model}${where} follows it again`;
  if (session.printer.json) return session.printer.error(new CourierError("cancelled", message, { hint }));
  session.printer.note(message, hint);
  return ERROR_CODES.cancelled.exit;
}

/** The flags that select the same agents again. */
function agentFlags({ agents }: Session, left: readonly string[], asked: number): string {
  if (agents === undefined) return "";
  return agents === "all" && left.length === asked ? " --all" : ` --agent ${left.join(",")}`;
}
