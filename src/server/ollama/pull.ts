// /api/pull: starts a job on the box, or joins it, and shows it as Ollama shows a pull.
import type { Context, Hono } from "hono";
import { asCourierError, CourierError } from "../../base/errors.ts";
import type { Job } from "../../protocol.ts";
import { callerOf, type Env, requesterOf } from "../http/env.ts";
import { failWith } from "../http/problem.ts";
import type { Services, ServicesOf } from "../services.ts";
import { type Box, boxOf } from "./box.ts";
import { PullFollowers } from "./pull_followers.ts";
import { refusedPull } from "./pull_lines.ts";
import { answerAtEnd, streamLines } from "./pull_responses.ts";
import { modelOf, REQUESTS, readRequest } from "./requests.ts";

const WORDS = { missing: "invalid model name", invalid: () => "invalid model name" };

export function addPullRoute(routes: Hono<Env>, servicesOf: ServicesOf): void {
  const followers = new PullFollowers();

  routes.post("/:agent/api/pull", async (context) => {
    const request = await readRequest(context, REQUESTS.pull);
    const { name } = modelOf(request, WORDS);
    const box = await boxOf(context, servicesOf);
    const { services } = box;
    const countOut = countIn(context, services);
    try {
      await followers.cancelled(box.agent, name);
      // Before the pull, so that its end cannot be missed.
      const start = services.jobFeed.startAfter(undefined);
      const job = await startPull(context, box, name);
      context.header("x-gpu-courier-job", job.id);
      const leave = followers.join(job, { isNew: isNew(context, box, job), services });
      const pull = { job, start, services, leave, countOut };
      return request.stream === false ? await answerAtEnd(context, pull) : streamLines(context, pull);
    } catch (error) {
      countOut();
      throw error;
    }
  });
}

/** Before the pull starts, which takes a while: until then others would not count it. */
function countIn(context: Context<Env>, { listeners }: Services): () => void {
  const caller = callerOf(context);
  const refusal = listeners.refusal(caller);
  if (refusal !== undefined) throw failWith(429, refusal, "Start it with POST /v1/jobs, which needs no stream");
  return listeners.add(caller);
}

/** Whether this request started the job. A state may not show yet what somebody else started just before. */
function isNew(context: Context<Env>, { view }: Box, job: FollowedJob): boolean {
  const { requestedBy = null } = requesterOf(context);
  const isOwn = job.requested_by === null || job.requested_by === requestedBy;
  return isOwn && view.state?.jobs.some(({ id }) => id === job.id) !== true;
}

type FollowedJob = Job & { readonly id: string };

async function startPull(context: Context<Env>, { agent, services }: Box, name: string): Promise<FollowedJob> {
  const job = await pullOn(agent, name, context, services);
  const { id } = job;
  if (id !== null) return { ...job, id };
  throw new CourierError(
    "unimplemented",
    `${agent} started the pull of ${name}, and its legacy service cannot show it`,
    {
      hint: "GET api/tags lists the model when it is there",
    },
  );
}

async function pullOn(agent: string, name: string, context: Context<Env>, { courier }: Services): Promise<Job> {
  try {
    return await courier.pullModel(agent, name, requesterOf(context));
  } catch (error) {
    const { code, message, saidBy } = asCourierError(error);
    if (code !== "not_found") throw error;
    throw new CourierError("not_found", refusedPull(message), { saidBy, cause: error });
  }
}
