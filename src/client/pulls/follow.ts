// Follows pulls on their agents to the end, as each agent's state shows them.
import { asCourierError, type CourierError } from "../../base/errors.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { liveBoxClock } from "../box_clock.ts";
import { JsonProgress, LineProgress, type Progress } from "../output/progress.ts";
import { type Pull, PullBoard } from "../output/pull_board.ts";
import type { Asked } from "../output/unavailable.ts";
import type { Session } from "../session.ts";

/** How one pull on one agent came out, as far as it was seen. */
export interface Pulled extends Asked {
  readonly job: Job;
  /** The failure with its hint; undefined when the job itself has it. */
  readonly error?: CourierError;
}

/** How often an agent not reporting is looked for. */
const LOOK_AGAIN_MS = 500;
/** What shows the progress of these pulls: the board has a line for each model on each agent. */
export function openProgress(session: Session, pulls: readonly Pull[]): Progress {
  const { printer, io } = session;
  const nowMs = liveBoxClock(session);
  if (printer.json) return new JsonProgress(printer);
  const isOfEach = new Set(pulls.map(({ agent, model }) => `${agent} ${model}`)).size === pulls.length;
  if (printer.isLive && isOfEach) {
    session.waiting.mute();
    return new PullBoard(printer, io.clock, pulls, nowMs);
  }
  const isOneModel = new Set(pulls.map(({ model }) => model)).size === 1;
  const naming = isOneModel ? "agents alone" : "with models";
  return new LineProgress(printer, io.clock, nowMs, { naming, count: pulls.length });
}

/** Follows to the end, and over times when the agent or the share is away: as long as `--timeout`, then it gives up. */
export async function follow(
  session: Session,
  first: Job,
  progress: Progress,
  signal: AbortSignal = session.io.signal,
): Promise<Pulled> {
  const { courier, io, timeoutMs } = session;
  const { id } = first;
  if (id === null || isEnded(first)) return { job: first };
  let job = first;
  let lostAtMs: number | undefined;
  for (;;) {
    try {
      for await (const next of courier.followJob(job.agent, id, signal)) {
        if (lostAtMs !== undefined || JSON.stringify(next) !== JSON.stringify(job)) progress.show(next);
        lostAtMs = undefined;
        job = next;
      }
      return { job };
    } catch (error) {
      const failure = asCourierError(error);
      lostAtMs ??= io.clock.monotonic();
      const givesUp = failure.code !== "unavailable" || io.clock.monotonic() - lostAtMs >= timeoutMs;
      if (givesUp || signal.aborted) return lastSeen(job, failure, progress);
      progress.lost(job, failure.spoken.message);
      await io.clock.sleep(LOOK_AGAIN_MS, signal);
    }
  }
}

/** The job may still be running: it keeps its last state, with the reason why it is no longer followed. */
function lastSeen(last: Job, error: CourierError, progress: Progress): Pulled {
  const job: Job = { ...last, code: error.code, error: error.message };
  if (error.code !== "cancelled") progress.show(job);
  return { job, error };
}
