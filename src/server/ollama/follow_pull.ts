// Follows the job of a pull for one client, as the lines that Ollama would send it.
import type { Context } from "hono";
import { agentAway } from "../../courier/refusals.ts";
import type { Job } from "../../protocol.ts";
import type { JobNews, Start } from "../fleet/job_feed.ts";
import { fleetFailure } from "../fleet/known_fleet.ts";
import type { Env } from "../http/env.ts";
import { stopWithCaller } from "../http/guard/caller_watch.ts";
import { inCliWords } from "../http/ollama_error.ts";
import type { Services } from "../services.ts";
import type { Leave } from "./pull_followers.ts";
import { type PullLine, PullLines } from "./pull_lines.ts";

export interface FollowedPull {
  readonly job: Job;
  readonly start: Start;
  readonly services: Services;
  readonly leave: Leave;
  /** As a listener. */
  readonly countOut: () => void;
}

/** The job feed has something at least every 10 s, so no client waits longer than 15 s for a line. */
const REPEAT_AFTER_MS = 5_000;
/** A client must not wait forever for a box that may not come back. */
const MOST_AWAY_MS = 60_000;

/** A pull that is not followed to its end. */
const GOES_ON = "the pull goes on: pull again to follow it";
/** Whether the pull goes on is not said: its client has no right to know any more. */
const NOT_LET_IN = "gpu-server ended the connection: the token is not valid any more";

/**
 * The lines, until the job has ended, which the last one says, or `stop` aborts. Never throws.
 * @param stop is aborted at the end, and when the caller would no longer be let in
 */
export async function* followPull(
  context: Context<Env>,
  { job, start, services, leave, countOut }: FollowedPull,
  stop: AbortController,
): AsyncGenerator<readonly PullLine[]> {
  void stopWithCaller(context, services, stop);
  let hasEnded = false;
  try {
    yield [{ status: "pulling manifest" }];
    for await (const lines of linesOf(job, services, services.jobFeed.listenToJob(job, start, stop.signal))) {
      hasEnded = lines.some(({ status, error }) => status === "success" || error !== undefined);
      yield lines;
      if (hasEnded) return;
    }
    yield [{ error: stop.signal.aborted ? NOT_LET_IN : `gpu-server ended the connection; ${GOES_ON}` }];
  } catch (error) {
    services.log.error({ error, request_id: context.get("requestId") }, "Following a pull failed unexpectedly");
    yield [{ error: `gpu-server cannot follow the pull; ${GOES_ON}` }];
  } finally {
    // Aborted before its end: by the client, or because that would no longer be let in. A server that stops is neither.
    const isClientGone = stop.signal.aborted && !hasEnded;
    stop.abort();
    countOut();
    leave(isClientGone);
  }
}

async function* linesOf(
  job: Job,
  services: Pick<Services, "clock" | "fleet" | "connection">,
  feed: AsyncIterable<JobNews>,
): AsyncGenerator<readonly PullLine[]> {
  const lines = new PullLines(job);
  const box = new BoxWatch();
  const { clock } = services;
  let writtenMs = clock.monotonic();
  for await (const news of feed) {
    const nowMs = clock.monotonic();
    const jobs = [...news.progress, ...news.ended.map((end) => end.job)];
    const added = jobs.flatMap((each) => lines.next(each));
    const away = box.away(news, nowMs);
    if (away !== undefined && added.length === 0) added.push(await lineOfAway(away, services));
    if (added.length === 0 && nowMs - writtenMs < REPEAT_AFTER_MS) continue;
    yield added.length > 0 ? added : [lines.again];
    writtenMs = nowMs;
  }
}

/** While the share is away, so is each box: then the share has the reason. */
async function lineOfAway(away: string, services: Pick<Services, "fleet" | "connection">): Promise<PullLine> {
  const reason = (await fleetFailure(services))?.message ?? away;
  return { error: inCliWords(`${reason}; ${GOES_ON}`) };
}

/** For how long the box has been away. */
class BoxWatch {
  #awaySinceMs: number | undefined;
  #reason = "";

  /** Why its client should wait no longer; undefined: it is there, or not away for long. */
  away({ agents }: JobNews, nowMs: number): string | undefined {
    for (const view of agents) {
      this.#awaySinceMs = view.online ? undefined : (this.#awaySinceMs ?? nowMs);
      this.#reason = view.online ? "" : agentAway(view).message;
    }
    const isLong = this.#awaySinceMs !== undefined && nowMs - this.#awaySinceMs >= MOST_AWAY_MS;
    return isLong ? this.#reason : undefined;
  }
}
