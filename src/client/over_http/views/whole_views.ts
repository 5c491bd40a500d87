// The agents of gpu-server with their models, loaded models and jobs, for what is proposed when Tab is pressed.
import type { AgentView } from "../../../courier/agent_view.ts";
import { JobsDocument } from "../../../documents/jobs.ts";
import { ModelsDocument } from "../../../documents/models.ts";
import { RunningDocument } from "../../../documents/running.ts";
import type { RunningModel } from "../../../protocol.ts";
import { ServerFleet } from "../fleet.ts";
import type { ServerHttp } from "../http.ts";

/** In a larger fleet nobody waits for as many requests. */
const MOST_ASKED = 20;

/** Only the first page of each list: a thousand proposals are enough. */
export async function wholeViews(http: ServerHttp, clock: { monotonic(): number }): Promise<readonly AgentView[]> {
  const [views, models, jobs] = await Promise.all([
    new ServerFleet(http, clock).read(),
    orNothing(http.get("/v1/models", ModelsDocument).then(({ models: listed }) => listed)),
    orNothing(http.get("/v1/jobs", JobsDocument).then(({ jobs: listed }) => listed)),
  ]);
  const online = views.filter(({ online: isOnline, state }) => isOnline && state !== null);
  const asked = online.length > MOST_ASKED ? [] : online;
  const running = new Map(
    await Promise.all(asked.map(async ({ agent }) => [agent, await runningOn(http, agent)] as const)),
  );
  return views.map((view) => {
    const { agent, state } = view;
    if (state === null) return view;
    const lists = {
      models: models.filter(({ agents }) => agents.includes(agent)),
      jobs: jobs.filter((job) => job.agent === agent),
      running: running.get(agent) ?? [],
    };
    return { ...view, state: { ...state, ...lists } };
  });
}

async function runningOn(http: ServerHttp, agent: string): Promise<RunningModel[]> {
  return await orNothing(http.get(`/v1/agents/${agent}/running`, RunningDocument).then(({ running }) => running));
}

/** A token that may not list these has nothing of them to propose. */
async function orNothing<Item>(list: Promise<Item[]>): Promise<Item[]> {
  return await list.catch(() => []);
}
