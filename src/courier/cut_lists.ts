// Lists of one agent that were cut to the size of a document: its jobs, of which it knows the rest, and its models in pages.
import { isEnded, type Job, LIMITS, type Model, type Response } from "../protocol.ts";
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

/**
 * Every model of the list. A model that was there all the time is in the result once; the list may change meanwhile.
 * @param ask sends `list_models` with these arguments
 * @throws CourierError as `ask`
 */
export async function readModelPages(
  ask: (paging: { readonly arguments?: { readonly after: string } }) => Promise<Response>,
): Promise<readonly Model[]> {
  const all = new Map<string, Model>();
  for (let after: string | undefined; ; ) {
    const { models = [], truncated = [] } = await ask(after === undefined ? {} : { arguments: { after } });
    const known = all.size;
    for (const model of models) all.set(model.name, model);
    after = models.at(-1)?.name;
    // A page without a new model would be repeated forever.
    if (!truncated.includes("models") || after === undefined || all.size === known) return [...all.values()];
  }
}
