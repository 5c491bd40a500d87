// Listeners to events: agent events, the limit of listeners, and that no end is lost.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { isoTime, systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import type { Job } from "#src/protocol.ts";
import { JobFeed } from "#src/server/fleet/job_feed.ts";
import { MAX_LISTENERS, MAX_VIEWER_LISTENERS } from "#src/server/limits/listeners.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { OffsetClock } from "#tests/support/clocks/offset_clock.ts";
import { EventSite, ended, job } from "#tests/support/sites/event_site.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { until } from "#tests/support/until.ts";

let site: EventSite;
beforeEach(async () => {
  site = await EventSite.open();
});
afterEach(async () => {
  await site.close();
});

test("sends no end for a pull whose caller disconnected before the agent answered: it may continue", async () => {
  let isAsked = false;
  const other = await ScriptedAgent.open(site.server.store, "gpu-2", {
    answer: () => {
      isAsked = true;
      return undefined;
    },
  });
  const events = await site.listenTo();
  const leaving = new AbortController();
  const asking = fetch(`${site.url}/v1/jobs`, {
    method: "POST",
    headers: { authorization: `Bearer ${site.server.gp}`, "content-type": "application/json" },
    body: JSON.stringify({ kind: "pull", model: "phi4", agents: ["gpu-2"] }),
    signal: leaving.signal,
  });
  await until(() => isAsked);
  leaving.abort();
  await asking.catch(() => undefined);
  other.jobs = [job(7, { agent: "gpu-2", state: "running" })];
  await other.publish();
  await until(() => events.events.length === 2);
  expect(events.events[1]).toMatchObject({ event: "progress", data: { id: "job-7" } });
  expect((await site.server.call("GET", "/v1/jobs")).body.jobs).toMatchObject([{ id: "job-7", state: "running" }]);
});

test("another agent cannot end or take over a job by publishing one under its id", async () => {
  const { endedJobs } = site.server.services;
  await site.publish(job(1, { state: "running" }));
  const events = await site.listenTo("/v1/jobs/job-1/events");
  const forger = await ScriptedAgent.open(site.server.store, "zzz");
  forger.jobs = [ended(1, { agent: "zzz", state: "failed" })];
  await forger.publish();
  await until(() => endedJobs.last === 1);
  expect((await site.server.call("GET", "/v1/jobs/job-1")).body).toMatchObject({ agent: "gpu-1", state: "running" });
  await site.publish(ended(1));
  await until(() => endedJobs.last === 2);
  await until(() => events.events.some(({ event }) => event === "ended"));
  expect(events.events.filter(({ event }) => event === "ended").map(({ data }) => data)).toMatchObject([
    { agent: "gpu-1", state: "succeeded" },
  ]);
});

test("also asks for jobs that ended in large numbers", async () => {
  const { endedJobs, jobFeed } = site.server.services;
  jobFeed.addEnds([ended(0)]);
  const after = endedJobs.last;
  site.agent.oldJobs = Array.from({ length: 30 }, (_, index) => ended(1 + index));
  await site.publish(...Array.from({ length: 20 }, (_, index) => ended(31 + index)));
  const received: (string | null)[] = [];
  for await (const { ended: ends } of jobFeed.listen(after, AbortSignal.timeout(5000))) {
    received.push(...ends.map(({ job: { id } }) => id));
    if (received.length === 50) break;
  }
  expect(new Set(received).size).toBe(50);
});

test("knows what ended while no server ran", async () => {
  const { endedJobs, fleet, courier, clock, log } = site.server.services;
  const after = endedJobs.last;
  await site.publish(ended(1));
  const restarted = new JobFeed({ fleet, courier, ended: endedJobs, clock, log });
  for await (const { ended: ends } of restarted.listen(after, AbortSignal.timeout(5000))) {
    if (ends.length > 0) expect(ends.map(({ job: { id } }) => id)).toEqual(["job-1"]);
    if (ends.length > 0) break;
  }
  restarted.close();
  expect(endedJobs.find("job-1")?.number).toBe(after + 1);
});

test("sends agents that go offline and come back, and at the start those that are offline", async () => {
  await site.publish(job(1, { state: "running" }));
  const other = await ScriptedAgent.open(site.server.store, "gpu-2");
  const [all, one] = [await site.listenTo(), await site.listenTo("/v1/jobs/job-1/events")];
  await other.publish({ status: "stopped" });
  await until(() => all.agents.length === 1);
  await site.agent.publish({ status: "stopped" });
  await until(() => one.agents.length === 1);
  const late = await site.listenTo();
  await site.agent.publish();
  await until(() => one.agents.length === 2 && late.agents.length === 3);
  const away = ["gpu-1", "offline", "stopped"];
  const back = ["gpu-1", "online", null];
  expect(one.agents).toEqual([away, back]);
  expect(all.agents).toEqual([["gpu-2", "offline", "stopped"], away, back]);
  expect(late.agents).toEqual([away, ["gpu-2", "offline", "stopped"], back]);
  const { body: document } = await site.server.call("GET", "/v1/agents/gpu-1");
  expect(Object.keys(one.events.findLast(({ event }) => event === "agent")?.data)).toEqual(Object.keys(document));
});

test("sends that the share cannot be read, and when it can be read again", async () => {
  await site.publish(job(1, { state: "running" }));
  const events = await site.listenTo();
  site.server.store.interrupt(new CourierError("unavailable", "Share stalled"));
  await until(() => events.agents.length === 1);
  site.server.store.restore();
  await until(() => events.agents.length === 2);
  expect(events.agents).toEqual([
    ["gpu-1", "offline", "share_stale"],
    ["gpu-1", "online", null],
  ]);
  expect(events.events.filter(({ event }) => event === "progress")).toHaveLength(1);
});

test("forgets the jobs of an agent whose state was removed", async () => {
  await site.publish(job(1, { state: "running" }));
  const other = await ScriptedAgent.open(site.server.store, "gpu-2");
  other.jobs = [job(2, { agent: "gpu-2", state: "running" })];
  await other.publish();
  const before = await site.listenTo();
  await until(() => before.events.length === 3);
  site.server.store.removeState("gpu-2");
  await site.publish(job(1, { state: "running", completed_bytes: 5 }));
  await until(() => before.events.length === 4);
  const after = await site.listenTo();
  expect(after.events.filter(({ event }) => event === "progress").map(({ data }) => data.id)).toEqual(["job-1"]);
});

test("refuses listeners over the limit with 429, until one disconnects", async () => {
  await site.publish(job(1, { state: "running" }));
  const { listeners } = site.server.services;
  const countOut = Array.from({ length: MAX_LISTENERS }, () => listeners.add({ name: "platform", way: "token" }));
  for (const path of ["/v1/events", "/v1/jobs/job-1/events"]) {
    const { status, headers, body } = await site.server.call("GET", path);
    expect([status, headers.get("retry-after")]).toEqual([429, "5"]);
    expect(body).toMatchObject({ type: "urn:gpu-courier:exhausted", status: 429, code: "exhausted" });
    expect(body.hint).toContain("/v1/jobs");
  }
  countOut[0]?.();
  const last = await site.listenTo();
  expect([last.status, listeners.total]).toEqual([200, MAX_LISTENERS]);
  await last.cut();
  await until(() => listeners.total === MAX_LISTENERS - 1);
});

test("a viewer's token has 100 listeners at most, and leaves room for the others", async () => {
  const { listeners, authenticator } = site.server.services;
  const token = site.server.viewer;
  const viewer = await authenticator.authenticate(`Bearer ${token}`);
  if (viewer instanceof Error) throw viewer;
  const countOut = Array.from({ length: MAX_VIEWER_LISTENERS }, () => listeners.add(viewer));
  const { status, body } = await site.server.call("GET", "/v1/events", { token });
  expect([status, body.detail]).toEqual([429, 'Token "dashboard" already has 100 listeners']);
  const other = site.server.tokens.add("other", "viewer");
  for (const bearer of [other, site.server.gp]) {
    const answer = await fetch(`${site.url}/v1/events`, { headers: { authorization: `Bearer ${bearer}` } });
    expect(answer.status).toBe(200);
    await answer.body?.cancel();
  }
  countOut[0]?.();
  const answer = await fetch(`${site.url}/v1/events`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  await answer.body?.cancel();
});

test("asks proxies to pass events on at once", async () => {
  const { headers } = await site.server.call("GET", "/v1/jobs/nobody/events");
  expect(headers.get("x-accel-buffering")).toBeNull();
  const answer = await fetch(`${site.url}/v1/events`, { headers: { authorization: `Bearer ${site.server.viewer}` } });
  expect([answer.headers.get("x-accel-buffering"), answer.headers.get("cache-control")]).toEqual(["no", "no-cache"]);
  await answer.body?.cancel();
});

test.each([3_600_000, -3_600_000])("uses the share's clock where the server's own is %p ms off", async (offsetMs) => {
  const skewed = await EventSite.open({ clock: new OffsetClock(offsetMs), store: new MemoryStore(systemClock) });
  const events = await skewed.listenTo();
  await skewed.publish(ended(1));
  await until(() => events.ends.length === 1);
  // A box that is seen only now: its ends are old ones.
  const late = await ScriptedAgent.open(skewed.server.store, "gpu-2");
  late.jobs = [ended(2, { ended_at: isoTime(Date.now() - 60_000) })];
  await late.publish();
  const answerFull = () => ({ success: false, code: "exhausted" as const, error: "The disk is full" });
  await ScriptedAgent.open(skewed.server.store, "gpu-9", { answer: answerFull });
  const body = { kind: "pull", model: "phi4", agents: ["gpu-9"] };
  const { body: answer } = await skewed.server.call("POST", "/v1/jobs", { body });
  await until(() => events.ends.length === 2);
  expect(events.ends).toEqual(["job-1", answer.jobs[0].id]);
  expect(Math.abs(Date.parse(answer.jobs[0].ended_at) - Date.now())).toBeLessThan(60_000);
  await skewed.close();
});

test("200 listeners get every end exactly once, even if they reconnect", async () => {
  const LISTENERS = 200;
  const listeners = await Promise.all(Array.from({ length: LISTENERS }, async () => await site.listenTo()));
  const all: Job[] = [];
  for (let round = 0; round < 6; round++) {
    const leaving = listeners.filter((_, index) => index % 6 === round);
    await Promise.all(leaving.map(async (events) => await events.cut()));
    for (let index = 0; index < 3; index++) all.push(ended(all.length));
    await site.publish(...all.slice(-20));
    await until(() => listeners.every((events) => leaving.includes(events) || events.ends.length === all.length));
    await Promise.all(leaving.map(async (events) => await site.comeBack(events)));
  }
  await until(() => listeners.every((events) => events.ends.length === all.length));
  const expected = all.map(({ id }) => id ?? "");
  for (const { ends } of listeners) expect([ends.length, new Set(ends)]).toEqual([all.length, new Set(expected)]);
}, 20_000);

test("loses no end when the log cannot be written once, though the state brings it only once", async () => {
  const { endedJobs } = site.server.services;
  const events = await site.listenTo();
  const add = endedJobs.add.bind(endedJobs);
  endedJobs.add = () => {
    throw new Error("database is locked");
  };
  await site.publish(ended(1));
  await Bun.sleep(50);
  endedJobs.add = add;
  await until(() => events.ends.length === 1);
  expect(events.ends).toEqual(["job-1"]);
});
