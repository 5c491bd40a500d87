// The jobs of one agent. A state document that was cut to its size holds only some of them, and the agent knows the rest.
import { isEnded, type Job, LIMITS } from "../protocol.ts";
import type { AgentView } from "./agent_view.ts";
import type { Unavailable } from "./unavailable.ts";
import { awayEntry, failedEntry } from "./unavailable.ts";

/** Reads every job that an agent keeps. */
type History = (agent: string) => Promise<readonly Job[]>;

/** The active jobs and the last that ended. Never rejects: of an agent that cannot be asked, those that its state holds. */
export async function listJobsOf(
  view: AgentView,
  history: History,
): Promise<{ readonly jobs: readonly Job[]; readonly unavailable: readonly Unavailable[] }> {
  const published = view.state?.jobs ?? [];
  if (!view.online) return { jobs: published, unavailable: [awayEntry(view)] };
  try {
    return { jobs: await readJobs(view, history), unavailable: [] };
  } catch (error) {
    return { jobs: published, unavailable: [failedEntry(view.agent, error)] };
  }
}

/** One job of an agent; undefined: the agent does not keep it. @throws CourierError as `history` */
export async function findJobOf(view: AgentView, id: string, history: History): Promise<Job | undefined> {
  const isMeant = (job: Job): boolean => job.id === id;
  return view.state?.jobs.find(isMeant) ?? (await readJobs(view, history)).find(isMeant);
}

async function readJobs({ agent, state }: AgentView, history: History): Promise<readonly Job[]> {
  if (state === null || !state.truncated.includes("jobs")) return state?.jobs ?? [];
  const all = await history(agent);
  const lastEnded = new Set(all.filter(isEnded).slice(-LIMITS.endedJobsInState));
  return all.filter((job) => !isEnded(job) || lastEnded.has(job));
}
