// Webhooks from the fleet to the receiver: each event once under one id, over failures, restarts and crashes.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { isoTime } from "#src/base/clock.ts";
import { type Job, newPull } from "#src/protocol.ts";
import type { Reply } from "#src/server/webhooks/http/post.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { type Received, WebhookSite } from "./site.ts";

const [MINUTE_MS, HOUR_MS] = [60_000, 3_600_000];

let site: WebhookSite;
beforeEach(() => {
  site = new WebhookSite();
});
afterEach(async () => await site.close());

function ended(number: number): Job {
  return {
    ...newPull(`job-${number}`, "gpu-1", "phi4:latest"),
    state: "succeeded",
    ended_at: isoTime(site.clock.now()),
  };
}

/** `job-1` of each accepted attempt. */
function jobsOf(received: readonly Received[]): string[] {
  return received.flatMap(({ event }) => (event.type === "job.ended" ? [event.data.id ?? ""] : []));
}

test("sends the end of each job once, as the API shows the job, to each target", async () => {
  const life = await site.start({ hosts: ["a.test", "b.test"] });
  await life.end(ended(1), ended(2));
  await life.end(ended(1), ended(3));
  await life.stop();
  for (const host of ["a.test", "b.test"]) {
    const received = site.received.filter((each) => each.host === host);
    expect(jobsOf(received)).toEqual(["job-1", "job-2", "job-3"]);
    expect(new Set(received.map(({ id }) => id)).size).toBe(3);
  }
  expect(site.received[0]?.event).toMatchObject({ type: "job.ended", data: { agent: "gpu-1", state: "succeeded" } });
});

test("a receiver that is away for an hour gets each end once, also over restarts and for what ended meanwhile", async () => {
  const agent = await ScriptedAgent.open(site.store, "gpu-1");
  const publish = async (...jobs: readonly Job[]): Promise<void> => {
    agent.jobs.push(...jobs);
    await agent.publish();
    await site.clock.leap(4 * MINUTE_MS);
    await site.clock.advance(1_000);
  };
  let life = await site.start();
  await publish(ended(1));
  site.answer = null;
  await publish(ended(2), ended(3));
  await life.stop();
  await publish(ended(4));
  life = await site.start();
  for (let number = 5; number < 20; number++) await publish(ended(number));
  await life.crash();
  await publish(ended(20));
  site.answer = () => ({ status: 503 });
  life = await site.start();
  for (let times = 0; times < 3; times++) await publish();
  site.answer = () => ({ status: 204 });
  const before = site.received.length;
  for (let times = 0; times < 4; times++) await publish();
  await life.stop();

  const accepted = [...site.received.slice(0, 1), ...site.received.slice(before)];
  expect(jobsOf(accepted).toSorted()).toEqual(Array.from({ length: 20 }, (_, index) => `job-${index + 1}`).toSorted());
  const attempts = site.received.filter(({ event }) => event.type === "job.ended");
  expect(new Set(attempts.map(({ id }) => id)).size).toBe(20);
  expect(site.received.length).toBeGreaterThan(accepted.length);
});

test("a crash after an event was queued, or sent, sends it again under the same id", async () => {
  let life = await site.start();
  await life.end(ended(1));
  // It takes the event and never answers: the server dies before it can record anything.
  site.answer = async () => await new Promise<Partial<Reply>>(() => undefined);
  await life.end(ended(2));
  await life.crash();
  site.answer = null;
  life = await site.start();
  await life.end(ended(3));
  await life.crash();
  site.answer = () => ({ status: 204 });
  life = await site.start();
  await site.clock.advance(2 * MINUTE_MS);
  expect(jobsOf(site.received).toSorted()).toEqual(["job-1", "job-2", "job-2", "job-3"]);
  const second = site.received.filter((received) => jobsOf([received])[0] === "job-2");
  expect(new Set(second.map(({ id }) => id)).size).toBe(1);
  expect(life.states()).toEqual(["delivered", "delivered", "delivered"]);
});

test("a crash between the log of ends and the queue loses nothing", async () => {
  const life = await site.start();
  life.feed.addEnds([ended(1)]);
  await life.crash();
  const next = await site.start();
  expect([jobsOf(site.received), next.states()]).toEqual([["job-1"], ["delivered"]]);
});

test("goes on when the ends of jobs could not be read for a while", async () => {
  const life = await site.start();
  life.feed.addEnds([ended(1)]);
  site.changeStore("ALTER TABLE ended_jobs RENAME TO hidden_jobs");
  await site.clock.advance(MINUTE_MS);
  site.changeStore("ALTER TABLE hidden_jobs RENAME TO ended_jobs");
  await site.clock.advance(10_000);
  await life.end(ended(2));
  expect(jobsOf(site.received)).toEqual(["job-1", "job-2"]);
  await life.stop();
});

test("stops at once while the ends of jobs cannot be read", async () => {
  const life = await site.start();
  life.feed.addEnds([ended(1)]);
  site.changeStore("DROP TABLE ended_jobs");
  await site.clock.advance(1_000);
  await life.stop();
});

test("sends an end that was queued although the rest of the work on that news failed", async () => {
  const life = await site.start();
  const agent = await ScriptedAgent.open(site.store, "gpu-1");
  site.changeStore("DROP TABLE webhook_agents");
  agent.jobs = [ended(1)];
  await agent.publish({ status: "stopped" });
  await site.clock.advance(1_000);
  expect(jobsOf(site.received)).toEqual(["job-1"]);
  await life.stop();
});

test("two servers on one store send each event once", async () => {
  const agent = await ScriptedAgent.open(site.store, "gpu-1");
  const lives = [await site.start(), await site.start()];
  agent.jobs = [1, 2, 3, 4, 5].map(ended);
  await agent.publish();
  await site.clock.advance(1_000);
  await agent.publish({ status: "stopped" });
  await site.clock.advance(MINUTE_MS);
  const types = site.received.map(({ event }) => event.type).toSorted();
  expect(types).toEqual(["agent.away", "job.ended", "job.ended", "job.ended", "job.ended", "job.ended"]);
  expect(new Set(site.received.map(({ id }) => id)).size).toBe(6);
  for (const life of lives) await life.stop();
});

test("a store that was lost gives the end of a job the id that it had", async () => {
  const life = await site.start();
  await life.end(ended(1));
  const other = new WebhookSite();
  const again = await other.start();
  await again.end(ended(1));
  expect(other.received.map(({ id }) => id)).toEqual(site.received.map(({ id }) => id));
  await other.close();
});

test("what is under way at a stop has two seconds, and is sent again if it takes longer", async () => {
  const answers: PromiseWithResolvers<Partial<Reply>>[] = [];
  site.answer = async () => {
    const answer = Promise.withResolvers<Partial<Reply>>();
    answers.push(answer);
    return await answer.promise;
  };
  const life = await site.start();
  await life.end(ended(1), ended(2));
  const stopping = life.stop();
  answers[0]?.resolve({ status: 204 });
  answers[1]?.resolve({ status: 500 });
  await stopping;
  site.answer = () => ({ status: 204 });
  const next = await site.start();
  await site.clock.advance(MINUTE_MS);
  expect(jobsOf(site.received)).toEqual(["job-1", "job-2", "job-2"]);
  expect(next.states()).toEqual(["delivered", "delivered"]);
});

test("while a receiver is away it gets one attempt after each pause, however much waits", async () => {
  site.answer = () => ({ status: 500 });
  const life = await site.start();
  await life.end(...Array.from({ length: 300 }, (_, number) => ended(number)));
  await site.clock.advance(HOUR_MS);
  // Up to four at once before the first failure; then after 5, 10, 20 … 600 s.
  expect(site.received.length).toBeLessThan(4 + 15);
  expect(site.received.length).toBeGreaterThan(4 + 6);
  site.answer = () => ({ status: 200 });
  await site.clock.advance(10 * MINUTE_MS);
  expect(life.states().every((state) => state === "delivered")).toBe(true);
});

test("waits as long as Retry-After says, and no event overtakes that", async () => {
  site.answer = () => ({ status: 429, retryAfter: "1800" });
  const life = await site.start();
  await life.end(ended(1));
  site.answer = () => ({ status: 204 });
  await life.end(ended(2));
  await site.clock.advance(29 * MINUTE_MS);
  expect(jobsOf(site.received)).toEqual(["job-1"]);
  await site.clock.advance(2 * MINUTE_MS);
  expect(jobsOf(site.received)).toEqual(["job-1", "job-2", "job-1"]);
});

test("an event that is always refused holds up no other, and is given up after 24 h", async () => {
  const logged: string[] = [];
  const log = { ...console, error: () => undefined, info: () => undefined, debug: () => undefined };
  const life = await site.start({ log: { ...log, warn: (_: object, message: string) => void logged.push(message) } });
  site.answer = ({ event }) => ({ status: event.type === "job.ended" && event.data.id === "job-1" ? 400 : 204 });
  await life.end(ended(1));
  for (let hour = 0; hour < 23; hour++) {
    await life.end(ended(10 + hour));
    await site.clock.leap(HOUR_MS);
  }
  await site.clock.advance(MINUTE_MS);
  expect(life.states()).toEqual(["pending", ...Array.from({ length: 23 }, () => "delivered")]);
  await site.clock.leap(2 * HOUR_MS);
  await site.clock.advance(MINUTE_MS);
  expect(life.states()[0]).toBe("failed");
  const attempts = site.received.length;
  await site.clock.advance(HOUR_MS);
  expect(site.received.length).toBe(attempts);
  expect(logged.at(-1)).toBe("Webhook events were refused for 24 h: gave them up");
  expect(life.webhooks.tables.targets(0)[0]).toMatchObject({ pending: 0, delivered: 23, failed: 1, dropped: 0 });
});

test("410 ends all for that target, until the next start", async () => {
  let life = await site.start({ hosts: ["a.test", "b.test"] });
  site.answer = ({ host }) => ({ status: host === "a.test" ? 410 : 204 });
  await life.end(ended(1));
  await life.end(ended(2));
  await site.clock.advance(HOUR_MS);
  expect(site.received.map(({ host }) => host).toSorted()).toEqual(["a.test", "b.test", "b.test"]);
  expect([life.states("a.test"), life.states("b.test")]).toEqual([["failed"], ["delivered", "delivered"]]);
  expect(life.webhooks.tables.targets(0).map(({ gone_at }) => gone_at === null)).toEqual([false, true]);
  expect(life.webhooks.trouble).toBe("a.test wants no more events");
  await life.stop();
  site.answer = () => ({ status: 204 });
  life = await site.start({ hosts: ["a.test", "b.test"] });
  await life.end(ended(3));
  expect(life.states("a.test")).toEqual(["failed", "delivered"]);
});

test("a second server that someone starts by hand on the store leaves the first one's targets alone", async () => {
  const life = await site.start();
  site.answer = null;
  await life.end(ended(1));
  await site.clock.advance(HOUR_MS / 2);
  const second = await site.start({ hosts: [] });
  await second.stop();
  site.answer = () => ({ status: 204 });
  await site.clock.advance(15 * MINUTE_MS);
  await life.end(ended(2));
  expect([jobsOf(site.received), life.states()]).toEqual([
    ["job-1", "job-2"],
    ["delivered", "delivered"],
  ]);
});

test("a second server that stops leaves the first one's targets alone, whatever a third one that starts then names", async () => {
  const first = await site.start();
  const second = await site.start();
  site.answer = null;
  await first.end(ended(1));
  await second.stop();
  const third = await site.start({ hosts: ["other.test"] });
  site.answer = () => ({ status: 204 });
  await site.clock.advance(MINUTE_MS);
  expect([jobsOf(site.received), first.states()]).toEqual([["job-1"], ["delivered"]]);
  for (const life of [first, third]) await life.stop();
  const next = await site.start({ hosts: ["other.test"] });
  expect(next.webhooks.tables.targets(0).map(({ target }) => target)).toEqual(["other.test"]);
});

test("a new target gets what ends from then on, and one that is no longer named nothing", async () => {
  let life = await site.start({ hosts: ["a.test"] });
  await life.end(ended(1));
  await life.stop();
  life = await site.start({ hosts: [] });
  await life.end(ended(2));
  expect(life.webhooks.tables.deliveries({}, { limit: 9 })).toEqual([]);
  await life.stop();
  life = await site.start({ hosts: ["a.test", "b.test"] });
  await life.end(ended(3));
  expect(site.received.map((received) => [received.host, ...jobsOf([received])])).toEqual([
    ["a.test", "job-1"],
    ["a.test", "job-3"],
    ["b.test", "job-3"],
  ]);
});
