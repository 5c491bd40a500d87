// Agents of gpu-server with the lists that a view of them lacks, for what a change is about to do.
import { asCourierError } from "../../../base/errors.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import { NobodyAnswered } from "../../../courier/unavailable.ts";
import { JobsDocument } from "../../../documents/jobs.ts";
import { ModelsDocument } from "../../../documents/models.ts";
import { RunningDocument } from "../../../documents/running.ts";
import type { State } from "../../../protocol.ts";
import type { ListName } from "../../fleet_courier.ts";
import type { ServerHttp } from "../http.ts";

type Lists = Partial<Pick<State, ListName>>;
/** Undefined: it is unknown. */
type ListsOf = (agent: string) => Lists | undefined;

/** A list that cannot be known stays in `truncated`. @throws CourierError when gpu-server cannot be asked */
export async function filledViews(
  http: ServerHttp,
  views: readonly AgentView[],
  lists: readonly ListName[],
  signal: AbortSignal | undefined,
): Promise<readonly AgentView[]> {
  const asked = views.filter(({ online, state }) => online && state !== null).map(({ agent }) => agent);
  if (asked.length === 0) return views;
  const read = { models: readModels, jobs: readJobs, running: readRunning };
  const found = await Promise.all(lists.map(async (list) => await orUnknown(read[list](http, asked, signal))));
  return views.map((view) =>
    asked.includes(view.agent) ? found.reduce((filled, listsOf) => fill(filled, listsOf(view.agent)), view) : view,
  );
}

function fill(view: AgentView, lists: Lists | undefined): AgentView {
  const { state } = view;
  if (state === null || lists === undefined) return view;
  const truncated = state.truncated.filter((name) => !(name in lists));
  return { ...view, state: { ...state, ...lists, truncated } };
}

async function readModels(http: ServerHttp, asked: readonly string[], signal: AbortSignal | undefined) {
  const pages = await http.getPages("/v1/models", ModelsDocument, { query: { agent: onlyOf(asked) }, signal });
  const models = pages.flatMap((page) => page.models);
  const away = new Set(pages.flatMap(({ unavailable = [] }) => unavailable.map(({ agent }) => agent)));
  return (agent: string): Lists | undefined =>
    away.has(agent) ? undefined : { models: models.filter(({ agents }) => agents.includes(agent)) };
}

async function readJobs(http: ServerHttp, asked: readonly string[], signal: AbortSignal | undefined) {
  const pages = await http.getPages("/v1/jobs", JobsDocument, { query: { agent: onlyOf(asked) }, signal });
  const jobs = pages.flatMap((page) => page.jobs);
  return (agent: string): Lists => ({ jobs: jobs.filter((job) => job.agent === agent) });
}

async function readRunning(http: ServerHttp, asked: readonly string[], signal: AbortSignal | undefined) {
  const listsOf = async (agent: string): Promise<ListsOf> => {
    const { running, unavailable = [] } = await http.get(`/v1/agents/${agent}/running`, RunningDocument, { signal });
    return () => (unavailable.length === 0 ? { running } : undefined);
  };
  const found = await Promise.all(asked.map(async (agent) => [agent, await orUnknown(listsOf(agent))] as const));
  const byAgent = new Map(found);
  return (agent: string): Lists | undefined => byAgent.get(agent)?.(agent);
}

/** Of a single agent, the others need not come. */
function onlyOf(asked: readonly string[]): string | undefined {
  return asked.length === 1 ? asked[0] : undefined;
}

/** A token that may change models need not be one that may list them, and an agent need not answer. */
async function orUnknown(listsOf: Promise<ListsOf>): Promise<ListsOf> {
  try {
    return await listsOf;
  } catch (error) {
    if (error instanceof NobodyAnswered || asCourierError(error).code === "forbidden") return () => undefined;
    throw error;
  }
}
