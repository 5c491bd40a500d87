// Two gpu-servers on one NATS: either is killed while jobs end, and its listeners go on at the other one.
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { until } from "#tests/support/until.ts";
import { endAndBegin, Follower, type SharingServer, SharingSite } from "./site.ts";

const LISTENERS = 200;
const AGENTS = 5;
const JOBS = 50;

let site: SharingSite;
beforeAll(async () => {
  site = await SharingSite.open();
});
afterAll(async () => await site.close());

/** Ends the jobs from one number to before another, the agents in turn. */
async function endJobs(agents: readonly ScriptedAgent[], from: number, to: number, pauseMs: number): Promise<void> {
  for (let number = from; number < to; number++) {
    const agent = agents[number % AGENTS];
    if (agent === undefined) throw new Error("No agent");
    const next = number + AGENTS;
    await endAndBegin(agent, next < JOBS ? `job-${next}` : null);
    await Bun.sleep(pauseMs);
  }
}

async function move(followers: readonly Follower[], to: SharingServer): Promise<void> {
  await Promise.all(followers.map(async (follower) => await follower.listen(to)));
}

test("every listener gets every end once, whichever of two servers is killed", async () => {
  const beganMs = performance.now();
  const [first, second] = await Promise.all([site.server("first"), site.server("second")]);
  const names = Array.from({ length: AGENTS }, (_, index) => `gpu-${index + 1}`);
  const agents = await Promise.all(names.map(async (name) => await site.agent(name)));
  for (const [index, agent] of agents.entries()) await endAndBegin(agent, `job-${index}`);
  const followers = Array.from({ length: LISTENERS }, () => new Follower());
  const [half, others] = [followers.slice(0, LISTENERS / 2), followers.slice(LISTENERS / 2)];
  await Promise.all([move(half, first), move(others, second)]);
  const readyMs = performance.now();

  const ending = endJobs(agents, 0, 30, 20);
  await until(() => half.some(({ events }) => events.ends.length > 5));
  await first.process.stop("SIGKILL");
  await Promise.all(half.map(async ({ events }) => await events.ended()));
  await move(half, second);
  await ending;
  const again = await site.server("first");
  const rest = endJobs(agents, 30, JOBS, 20);
  await until(() => followers.some(({ events }) => events.ends.length > 35));
  await second.process.stop("SIGKILL");
  await Promise.all(followers.map(async ({ events }) => await events.ended()));
  await move(followers, again);
  await rest;

  const received = (): number => followers.reduce((sum, { events }) => sum + events.ends.length, 0);
  await until(() => received() >= LISTENERS * JOBS, 15_000).catch(() => undefined);
  await Bun.sleep(300);
  const expected = Array.from({ length: JOBS }, (_, index) => `job-${index}`);
  const sorted = (ids: readonly string[]): string[] =>
    ids.toSorted((a, b) => Number(a.slice("job-".length)) - Number(b.slice("job-".length)));
  const wrong = followers.filter(({ events }) => !Bun.deepEquals(sorted(events.ends), expected));
  const lost = followers.reduce((sum, { events }) => sum + JOBS - new Set(events.ends).size, 0);
  const doubled = followers.reduce((sum, { events }) => sum + events.ends.length - new Set(events.ends).size, 0);
  const seconds = (ms: number): string => (ms / 1000).toFixed(1);
  process.stdout.write(
    `two servers: ${LISTENERS} listeners, ${JOBS} jobs, ${received()} ends received, ${lost} lost, ${doubled} doubled; ` +
      `ready after ${seconds(readyMs - beganMs)} s, all after ${seconds(performance.now() - beganMs)} s\n`,
  );
  expect({ lost, doubled, wrong: wrong.length }).toEqual({ lost: 0, doubled: 0, wrong: 0 });
  await Promise.all(followers.map(async ({ events }) => await events.cut()));
});
