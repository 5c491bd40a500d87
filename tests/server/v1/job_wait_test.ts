// GET /v1/jobs/{id}?wait=: the job when it ends, or when the time is over; waiting callers are counted and may leave.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { MAX_VIEWER_LISTENERS, MAX_WAIT_S } from "#src/server/limits/listeners.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { OWN_PAGE, signIn } from "#tests/support/sites/browser_session.ts";
import { EventSite, ended, job } from "#tests/support/sites/event_site.ts";
import { until } from "#tests/support/until.ts";

const RUNNING = job(1, { state: "running" });

let site: EventSite;
beforeEach(async () => {
  site = await EventSite.open();
  await site.publish(RUNNING);
});
afterEach(async () => {
  await site.close();
});

const waiting = (): number => site.server.services.listeners.total;
const wait = async (seconds: number | string, token = site.server.gp, signal?: AbortSignal) => {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${site.url}/v1/jobs/job-1?wait=${seconds}`, { headers, ...(signal && { signal }) });
  return { status: response.status, body: await response.json() };
};

test("answers with the job as it ended, as soon as it has", async () => {
  const asking = wait(MAX_WAIT_S);
  await until(() => waiting() === 1);
  await site.publish({ ...RUNNING, completed_bytes: 1 });
  const end = ended(1);
  await site.publish(end);
  expect(await asking).toEqual({ status: 200, body: end });
  expect(waiting()).toBe(0);
  expect(await wait(MAX_WAIT_S)).toEqual({ status: 200, body: end });
});

test("answers a session too", async () => {
  const { cookie } = await signIn(site.server, { token: site.server.gp });
  const headers = { ...OWN_PAGE, cookie };
  const asking = site.server.call("GET", `/v1/jobs/job-1?wait=${MAX_WAIT_S}`, { token: null, headers });
  await until(() => waiting() === 1);
  await site.publish(ended(1));
  expect((await asking).status).toBe(200);
});

test("answers with the job as it is when the time is over", async () => {
  const clock = new ManualClock();
  const slow = await EventSite.open({ clock, store: new MemoryStore(clock) }, 600_000);
  await slow.publish(RUNNING);
  const asking = slow.server.call("GET", "/v1/jobs/job-1?wait=30");
  await until(() => slow.server.services.listeners.total === 1);
  let isAnswered = false;
  void asking.then(() => (isAnswered = true));
  await slow.publish({ ...RUNNING, completed_bytes: 7 });
  await passes(clock, 500, () => isAnswered);
  expect(clock.monotonic()).toBeWithin(29_000, 33_000);
  expect((await asking).body).toMatchObject({ state: "running", completed_bytes: 7 });
  expect(slow.server.services.listeners.total).toBe(0);
  await slow.close();
});

test("is over when the caller disconnects, and when the server stops", async () => {
  const leaving = new AbortController();
  const asking = wait(MAX_WAIT_S, site.server.gp, leaving.signal).catch(() => "left");
  await until(() => waiting() === 1);
  leaving.abort();
  expect(await asking).toBe("left");
  await until(() => waiting() === 0);
  const other = wait(MAX_WAIT_S);
  await until(() => waiting() === 1);
  site.server.services.jobFeed.close();
  expect(await other).toMatchObject({ status: 200, body: { state: "running" } });
});

test("is not answered for a caller whose token was revoked meanwhile", async () => {
  const token = site.server.tokens.add("leaving", "viewer");
  const asking = wait(MAX_WAIT_S, token);
  await until(() => waiting() === 1);
  site.server.tokens.revoke("leaving");
  await site.publish(ended(1));
  expect(await asking).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
  expect(waiting()).toBe(0);
});

test("is refused with 429 to a viewer who has too many listeners, but not without ?wait=", async () => {
  const { viewer, services } = site.server;
  const caller = await services.authenticator.authenticate(`Bearer ${viewer}`);
  if (caller instanceof Error) throw caller;
  const countOut = Array.from({ length: MAX_VIEWER_LISTENERS }, () => services.listeners.add(caller));
  expect(await wait(1, viewer)).toMatchObject({ status: 429, body: { code: "exhausted", hint: "Ask without ?wait=" } });
  expect((await site.server.call("GET", "/v1/jobs/job-1", { token: viewer })).status).toBe(200);
  for (const out of countOut) out();
});

test("takes 1 to 60 whole seconds, and HEAD does not wait", async () => {
  for (const [seconds, words] of [
    ["0", "wait must be at least 1"],
    ["61", "wait must be at most 60"],
    ["1.5", "wait must be a whole number"],
    ["soon", "wait must be a number"],
  ] as const)
    expect(await wait(seconds)).toMatchObject({ status: 400, body: { detail: words } });
  const head = await site.server.call("HEAD", "/v1/jobs/job-1?wait=60");
  expect([head.status, waiting()]).toEqual([200, 0]);
});
