// Starts or joins pulls on agents, and follows them to the end.
import { isoTime } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { refusedJob } from "../../documents/jobs.ts";
import type { Job } from "../../protocol.ts";
import { agentFlag } from "../output/agent_names.ts";
import type { Pull } from "../output/pull_board.ts";
import { askedInVain } from "../output/unavailable.ts";
import type { Session } from "../session.ts";
import { follow, openProgress, type Pulled } from "./follow.ts";
import { withinMaxWait } from "./max_wait.ts";
import { failureCode, reportPulled } from "./results.ts";

export interface StartChoices {
  /** Also where the disk is too small. */
  readonly force?: boolean | undefined;
  /** Also outside the boxes' windows. */
  readonly now?: boolean | undefined;
  /** In seconds; undefined: to the end. */
  readonly maxWait?: number | undefined;
}

export interface AskedPull extends Pull {
  /** Of its agent, before it was asked. */
  readonly view: AgentView;
}

/**
 * @param start by default asks the agent; never rejects
 * @returns the exit status: 0 only if every agent has the models in the end
 */
export async function pullToEnd(
  session: Session,
  pulls: readonly AskedPull[],
  choices: StartChoices,
  start?: (pull: AskedPull) => Promise<Pulled>,
): Promise<number> {
  return (await pullAll(session, pulls, choices, start)).status;
}

/** As `pullToEnd()`, with the agents that do not have one of the models. */
export async function pullAll(
  session: Session,
  pulls: readonly AskedPull[],
  choices: StartChoices,
  start = async (pull: AskedPull): Promise<Pulled> => await startPull(session, pull, choices),
): Promise<{ readonly status: number; readonly failed: ReadonlySet<string> }> {
  if (pulls.length === 0) return { status: 0, failed: new Set() };
  const progress = openProgress(session, pulls);
  const pulled = await withinMaxWait(session, choices.maxWait, async (signal) => {
    try {
      return await Promise.all(
        pulls.map(async (pull) => {
          const started = await start(pull);
          progress.show(started.job);
          return started.error === undefined ? await follow(session, started.job, progress, signal) : started;
        }),
      );
    } finally {
      progress.close();
    }
  });
  const status = reportPulled(session, pulled, progress, (left) => againText(session, left, pulls));
  const failed = pulled.filter(({ job }) => failureCode(job) !== null).map(({ job }) => job.agent);
  return { status, failed: new Set(failed) };
}

/** Never rejects: a refusal is a failed job. */
export async function startPull(
  session: Session,
  { agent, model, view }: AskedPull,
  { force, now }: StartChoices,
): Promise<Pulled> {
  const { courier, io } = session;
  try {
    return { job: await courier.pullModel(agent, model, { force, now, signal: io.signal }) };
  } catch (error) {
    const refusal = asCourierError(error);
    const job = refusedJob(agent, model, refusal, Bun.randomUUIDv7(), isoTime(courier.now()));
    return { job, error: refusal, ...askedInVain(view, refusal) };
  }
}

/** The command line that follows the pulls again that are left. */
function againText({ agents }: Session, left: readonly Job[], pulls: readonly Pull[]): string {
  const models = [...new Set(left.map(({ model }) => model))].join(" ");
  const flags = agents === "all" && left.length === pulls.length ? " --all" : agentFlag(left.map(({ agent }) => agent));
  return `gpuctl pull ${models}${agents === undefined ? "" : flags}`;
}
