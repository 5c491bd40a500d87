// Server-sent events over real connections: each end is sent once to each listener, even if it reconnects.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { isoTime } from "#src/base/clock.ts";
import type { Job } from "#src/protocol.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { EventListener } from "#tests/support/event_listener.ts";
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

describe("GET /v1/events", () => {
  test("sends the active jobs, then each change, then the end", async () => {
    await site.publish(job(1, { state: "running", completed_bytes: 1e9 }));
    const events = await site.listenTo();
    await site.publish(job(1, { state: "running", completed_bytes: 2e9 }));
    await until(() => events.events.length === 3);
    await site.publish(ended(1));
    await until(() => events.ends.length === 1);
    expect(events.events.map(({ event, data }) => [event, data.completed_bytes ?? data.resumed])).toEqual([
      ["ready", false],
      ["progress", 1e9],
      ["progress", 2e9],
      ["ended", 9e9],
    ]);
  });

  test("does not send earlier ends to a new listener", async () => {
    await site.publish(ended(1));
    const events = await site.listenTo();
    await site.publish(ended(1), ended(2));
    await until(() => events.ends.length > 0);
    expect(events.ends).toEqual(["job-2"]);
  });

  test("sends a listener that reconnects what it missed: once, in order, and nothing twice", async () => {
    const events = await site.listenTo();
    await site.publish(ended(1));
    await until(() => events.ends.length === 1);
    await events.cut();
    await site.publish(ended(1), ended(2), ended(3, { ended_at: isoTime(Date.now() + 1) }));
    await site.comeBack(events);
    await until(() => events.ends.length === 3);
    await site.publish(ended(1), ended(2), ended(3), ended(4));
    await until(() => events.ends.length === 4);
    expect(events.ends).toEqual(["job-1", "job-2", "job-3", "job-4"]);
    expect(events.events.filter(({ event }) => event === "ready").map(({ data }) => data.resumed)).toEqual([
      false,
      true,
    ]);
  });

  test("continues after the id in the address, for a client that cannot send the header, which wins", async () => {
    const events = await site.listenTo();
    for (const number of [1, 2]) {
      await site.publish(ended(1), ...(number === 2 ? [ended(2)] : []));
      await until(() => events.ends.length === number);
    }
    await events.cut();
    const [first, second] = events.events.filter(({ event }) => event === "ended").map(({ id }) => id);
    const other = await site.listenTo(`/v1/events?lastEventId=${first}`);
    await until(() => other.ends.length > 0);
    expect([other.events[0]?.data.resumed, other.ends]).toEqual([true, ["job-2"]]);
    // What a browser's EventSource does when it reconnects to an address that has an older id.
    other.lastId = second;
    await other.cut();
    await site.comeBack(other, `/v1/events?lastEventId=${first}`);
    await site.publish(ended(3));
    await until(() => other.ends.length > 1);
    expect(other.ends).toEqual(["job-2", "job-3"]);
    expect((await site.listenTo(`/v1/jobs/job-2/events?lastEventId=${second}`)).status).toBe(204);
  });

  test("reports when it cannot continue where the listener was", async () => {
    const events = await site.listenTo();
    await events.cut();
    for (const lastId of ["0badcafe-7", `${site.server.services.endedJobs.id}-7`, "nonsense"]) {
      events.lastId = lastId;
      events.events.length = 0;
      await site.comeBack(events);
      await until(() => events.events.length === 1);
      expect(events.events[0]).toMatchObject({ event: "ready", data: { resumed: false } });
      await events.cut();
    }
  });

  test("sends jobs that an agent refused, which no state shows", async () => {
    await ScriptedAgent.open(site.server.store, "gpu-2", {
      answer: () => ({ success: false, code: "exhausted", error: "Disk full" }),
    });
    const events = await site.listenTo();
    const body = { kind: "pull", model: "phi4", agents: ["gpu-2"] };
    const { body: answer } = await site.server.call("POST", "/v1/jobs", { body });
    await until(() => events.ends.length === 1);
    expect(events.events.at(-1)?.data).toEqual(answer.jobs[0]);
  });

  test("asks the agent when more jobs ended at once than its state shows", async () => {
    const events = await site.listenTo();
    site.agent.oldJobs = Array.from({ length: 30 }, (_, index) => ended(index));
    await site.publish(...Array.from({ length: 20 }, (_, index) => ended(30 + index)));
    await until(() => events.ends.length === 50);
    expect(new Set(events.ends).size).toBe(50);
    expect(site.agent.commands.map(({ command }) => command)).toEqual(["list_jobs"]);
  });

  test("ends every stream when the server stops", async () => {
    const listeners = [await site.listenTo(), await site.listenTo()];
    site.server.services.jobFeed.close();
    await Promise.all(listeners.map(async (events) => await events.ended()));
  });

  test("answers HEAD without an endless body", async () => {
    const answer = await fetch(`${site.url}/v1/events`, {
      method: "HEAD",
      headers: { authorization: `Bearer ${site.server.viewer}` },
    });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  });
});

describe("GET /v1/jobs/{id}/events", () => {
  test("sends only one job, and finishes with its end", async () => {
    await site.publish(job(1, { state: "running" }), job(2));
    const events = await site.listenTo("/v1/jobs/job-1/events");
    await site.publish(ended(2), job(1, { state: "running", completed_bytes: 5 }));
    await until(() => events.events.length === 3);
    await site.publish(ended(2), ended(1));
    await events.ended();
    expect(events.events.map(({ event, data }) => [event, data.id])).toEqual([
      ["ready", undefined],
      ["progress", "job-1"],
      ["progress", "job-1"],
      ["ended", "job-1"],
    ]);
  });

  test("sends the end of a job that ended long ago, and answers 204 to a listener that has it", async () => {
    const id = Bun.randomUUIDv7();
    site.agent.oldJobs = [ended(1, { id, ended_at: "2026-01-01T00:00:00Z" })];
    const events = await site.listenTo(`/v1/jobs/${id}/events`);
    await events.ended();
    expect(events.ends).toEqual([id]);
    await site.comeBack(events, `/v1/jobs/${id}/events`);
    expect(events.status).toBe(204);
  });

  test("sends a missed end to a listener that reconnects, once", async () => {
    await site.publish(job(1));
    const events = await site.listenTo("/v1/jobs/job-1/events");
    await events.cut();
    await site.publish(ended(1));
    await site.comeBack(events, "/v1/jobs/job-1/events");
    await events.ended();
    expect(events.ends).toEqual(["job-1"]);
    await site.comeBack(events, "/v1/jobs/job-1/events");
    expect([events.status, events.ends.length]).toEqual([204, 1]);
  });

  test("finds a job that only the log of ends has", async () => {
    const events = await site.listenTo();
    await site.publish(ended(1));
    await until(() => events.ends.length === 1);
    await site.publish();
    expect((await site.server.call("GET", "/v1/jobs/job-1")).body).toMatchObject({ id: "job-1", state: "succeeded" });
    const one = await site.listenTo("/v1/jobs/job-1/events");
    await one.ended();
    expect(one.ends).toEqual(["job-1"]);
  });

  test("answers 404 for an unknown job", async () => {
    expect((await site.server.call("GET", "/v1/jobs/nobody/events")).status).toBe(404);
  });
});

describe("as time passes", () => {
  let clock: ManualClock;
  let timed: EventSite;
  beforeEach(async () => {
    clock = new ManualClock();
    // Longer than the test lasts: a silent connection would be cut, and look like a stream that was ended.
    timed = await EventSite.open({ clock, store: new MemoryStore(clock) }, 60_000);
  });
  afterEach(async () => {
    await timed.close();
  });

  test("a comment is sent every 10 s without news, and the stream of a revoked token ends within 5 s", async () => {
    const guest = timed.server.tokens.add("guest", "viewer");
    const events = new EventListener();
    await events.connect(`${timed.url}/v1/events`, guest);
    await until(() => events.events.length === 1);
    await clock.advance(10_000);
    await until(() => events.comments === 1);
    timed.server.tokens.revoke("guest");
    await clock.advance(5_000);
    await events.ended();
    expect([events.events.length, events.comments]).toEqual([1, 1]);
  });

  test("a stream ends when its token expires", async () => {
    const limits = { expiresAtMs: clock.now() + 7_000, agents: null, verbs: null };
    const guest = timed.server.tokens.add("guest", "viewer", limits);
    const events = new EventListener();
    await events.connect(`${timed.url}/v1/events`, guest);
    await until(() => events.events.length === 1);
    await clock.advance(5_000);
    await clock.advance(1_999);
    expect(timed.server.services.listeners.total).toBe(1);
    await clock.advance(1);
    await events.ended();
    expect(timed.server.services.listeners.total).toBe(0);
  });

  test("a listener that does not read blocks nobody, gets less progress, and still gets the end", async () => {
    const [ROUNDS, OTHERS] = [200, 100];
    const note = "x".repeat(1_000);
    const slow = connect(Number(new URL(timed.url).port), "127.0.0.1");
    slow.pause();
    slow.write(`GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${timed.server.viewer}\r\n\r\n`);
    const quick = new EventListener();
    await quick.connect(`${timed.url}/v1/events`, timed.server.viewer);
    await until(() => quick.events.length > 0);
    for (let round = 1; round <= ROUNDS; round++) {
      const running: Partial<Job> = { state: "running", completed_bytes: round, note };
      const end: Partial<Job> = {
        state: round < ROUNDS ? "running" : "succeeded",
        ended_at: isoTime(clock.now() + 500),
      };
      const others = Array.from({ length: OTHERS }, (_, index) => job(2 + index, running));
      await timed.publish(...others, job(1, { ...running, ...end }));
      await clock.advance(500);
      await until(() => quick.events.at(-1)?.data.completed_bytes === round);
    }
    await until(() => quick.ends.length === 1);
    let text = "";
    slow.on("data", (chunk) => {
      text += chunk.toString();
    });
    slow.resume();
    await until(() => text.includes("event: ended"));
    slow.destroy();
    expect(text.split("event: progress").length).toBeLessThan(ROUNDS * (OTHERS + 1));
    await quick.cut();
  });
});
