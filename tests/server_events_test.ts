// What jobs do, as server-sent events over real connections: once to each listener, also to those that come back.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { isoTime, systemClock } from "../src/clock.ts";
import { CourierError } from "../src/errors.ts";
import { type Job, newPull } from "../src/protocol.ts";
import { createApi } from "../src/server/api.ts";
import { JobFeed, MAX_LISTENERS } from "../src/server/job_feed.ts";
import { type Listener, listen } from "../src/server/listen.ts";
import { MemoryStore } from "../src/transport/memory.ts";
import { EventListener } from "./support/event_listener.ts";
import { ManualClock } from "./support/manual_clock.ts";
import { OffsetClock } from "./support/offset_clock.ts";
import { ScriptedAgent } from "./support/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "./support/server_fixture.ts";
import { until } from "./support/until.ts";

const TOTAL = 9e9;

let server: ServerUnderTest;
let listener: Listener;
let agent: ScriptedAgent;
let listening: EventListener[] = [];
beforeEach(async () => {
  server = await openServer();
  listener = listen({ host: "127.0.0.1", port: 0 }, createApi(server.services).fetch, 1000);
  agent = await ScriptedAgent.open(server.store, "gpu-1");
});
afterEach(async () => {
  await Promise.all(listening.map(async (events) => await events.cut()));
  listening = [];
  await listener.close(0);
  await server[Symbol.asyncDispose]();
});

/** A server's socket, which is closed at the end. */
function openSocket({ services }: ServerUnderTest): AsyncDisposable & Pick<Listener, "url"> {
  const socket = listen({ host: "127.0.0.1", port: 0 }, createApi(services).fetch, 1000);
  return { url: socket.url, [Symbol.asyncDispose]: async () => await socket.close(0) };
}

function job(number: number, change: Partial<Job> = {}): Job {
  return { ...newPull(`job-${number}`, "gpu-1", "phi4:latest"), total_bytes: TOTAL, ...change };
}

function ended(number: number, change: Partial<Job> = {}): Job {
  return job(number, { state: "succeeded", completed_bytes: TOTAL, ended_at: isoTime(Date.now()), ...change });
}

async function publish(...jobs: readonly Job[]): Promise<void> {
  agent.jobs = [...jobs];
  await agent.publish();
}

async function listenTo(path = "/v1/events"): Promise<EventListener> {
  const events = new EventListener();
  listening.push(events);
  await comeBack(events, path);
  if (events.status === 200) await until(() => events.events.length > 0);
  return events;
}

async function comeBack(events: EventListener, path = "/v1/events"): Promise<void> {
  await events.connect(`${listener.url}${path}`, server.viewer);
}

describe("GET /v1/events", () => {
  test("tells of the jobs under way as they are, then of each change, and of the end", async () => {
    await publish(job(1, { state: "running", completed_bytes: 1e9 }));
    const events = await listenTo();
    await publish(job(1, { state: "running", completed_bytes: 2e9 }));
    await until(() => events.events.length === 3);
    await publish(ended(1));
    await until(() => events.ends.length === 1);
    expect(events.events.map(({ event, data }) => [event, data.completed_bytes ?? data.resumed])).toEqual([
      ["ready", false],
      ["progress", 1e9],
      ["progress", 2e9],
      ["ended", TOTAL],
    ]);
  });

  test("does not tell a new listener what ended before", async () => {
    await publish(ended(1));
    const events = await listenTo();
    await publish(ended(1), ended(2));
    await until(() => events.ends.length > 0);
    expect(events.ends).toEqual(["job-2"]);
  });

  test("tells who comes back what ended meanwhile, once, in order, and nothing again", async () => {
    const events = await listenTo();
    await publish(ended(1));
    await until(() => events.ends.length === 1);
    await events.cut();
    await publish(ended(1), ended(2), ended(3, { ended_at: isoTime(Date.now() + 1) }));
    await comeBack(events);
    await until(() => events.ends.length === 3);
    await publish(ended(1), ended(2), ended(3), ended(4));
    await until(() => events.ends.length === 4);
    expect(events.ends).toEqual(["job-1", "job-2", "job-3", "job-4"]);
    expect(events.events.filter(({ event }) => event === "ready").map(({ data }) => data.resumed)).toEqual([
      false,
      true,
    ]);
  });

  test("says so when it cannot go on from where the listener was", async () => {
    const events = await listenTo();
    await events.cut();
    for (const lastId of ["0badcafe-7", `${server.services.endedJobs.id}-7`, "nonsense"]) {
      events.lastId = lastId;
      events.events.length = 0;
      await comeBack(events);
      await until(() => events.events.length === 1);
      expect(events.events[0]).toMatchObject({ event: "ready", data: { resumed: false } });
      await events.cut();
    }
  });

  test("tells of what an agent refused, which no state tells of", async () => {
    agent = await ScriptedAgent.open(server.store, "gpu-2", {
      answer: () => ({ success: false, code: "exhausted", error: "Disk full" }),
    });
    const events = await listenTo();
    const body = { kind: "pull", model: "phi4", agents: ["gpu-2"] };
    const { body: answer } = await server.call("POST", "/v1/jobs", { body });
    await until(() => events.ends.length === 1);
    expect(events.events.at(-1)?.data).toEqual(answer.jobs[0]);
  });

  test("tells nothing of a pull whose caller went away before the agent had answered: it may go on", async () => {
    let isAsked = false;
    agent = await ScriptedAgent.open(server.store, "gpu-2", {
      answer: () => {
        isAsked = true;
        return undefined;
      },
    });
    const events = await listenTo();
    const leaving = new AbortController();
    const asking = fetch(`${listener.url}/v1/jobs`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.gp}`, "content-type": "application/json" },
      body: JSON.stringify({ kind: "pull", model: "phi4", agents: ["gpu-2"] }),
      signal: leaving.signal,
    });
    await until(() => isAsked);
    leaving.abort();
    await asking.catch(() => undefined);
    agent.jobs = [job(7, { agent: "gpu-2", state: "running" })];
    await agent.publish();
    await until(() => events.events.length === 2);
    expect(events.events[1]).toMatchObject({ event: "progress", data: { id: "job-7" } });
    expect((await server.call("GET", "/v1/jobs")).body.jobs).toMatchObject([{ id: "job-7", state: "running" }]);
  });

  test("asks the agent when more ended at once than its state can tell of", async () => {
    const events = await listenTo();
    agent.oldJobs = Array.from({ length: 30 }, (_, index) => ended(index));
    await publish(...Array.from({ length: 20 }, (_, index) => ended(30 + index)));
    await until(() => events.ends.length === 50);
    expect(new Set(events.ends).size).toBe(50);
    expect(agent.commands.map(({ command }) => command)).toEqual(["list_jobs"]);
  });

  test("asks also for what ended in such numbers while there was no server", async () => {
    const { endedJobs, courier, connection, clock, log } = server.services;
    endedJobs.add([ended(0)]);
    agent.oldJobs = Array.from({ length: 30 }, (_, index) => ended(1 + index));
    await publish(...Array.from({ length: 20 }, (_, index) => ended(31 + index)));
    const restarted = new JobFeed({ courier, connection, ended: endedJobs, clock, log });
    const told: (string | null)[] = [];
    for await (const { ended: ends } of restarted.listen(endedJobs.last, AbortSignal.timeout(5000))) {
      told.push(...ends.map(({ job: { id } }) => id));
      if (told.length === 50) break;
    }
    restarted.close();
    expect(new Set(told).size).toBe(50);
  });

  test("tells when an agent goes away and comes back, and who is away at the beginning", async () => {
    await publish(job(1, { state: "running" }));
    const other = await ScriptedAgent.open(server.store, "gpu-2");
    const [all, one] = [await listenTo(), await listenTo("/v1/jobs/job-1/events")];
    await other.publish({ status: "stopped" });
    await until(() => all.agents.length === 1);
    await agent.publish({ status: "stopped" });
    await until(() => one.agents.length === 1);
    const late = await listenTo();
    await agent.publish();
    await until(() => one.agents.length === 2 && late.agents.length === 3);
    const away = ["gpu-1", "offline", "stopped"];
    const back = ["gpu-1", "online", null];
    expect(one.agents).toEqual([away, back]);
    expect(all.agents).toEqual([["gpu-2", "offline", "stopped"], away, back]);
    expect(late.agents).toEqual([away, ["gpu-2", "offline", "stopped"], back]);
    const { body: document } = await server.call("GET", "/v1/agents/gpu-1");
    expect(Object.keys(one.events.findLast(({ event }) => event === "agent")?.data)).toEqual(Object.keys(document));
  });

  test("tells that the share cannot be read, and when it can be again", async () => {
    await publish(job(1, { state: "running" }));
    const events = await listenTo();
    const readStates = server.transport.readStates.bind(server.transport);
    server.transport.readStates = async () => await Promise.reject(new CourierError("unavailable", "Share stalled"));
    await until(() => events.agents.length === 1);
    server.transport.readStates = readStates;
    await until(() => events.agents.length === 2);
    expect(events.agents).toEqual([
      ["gpu-1", "offline", "share_stale"],
      ["gpu-1", "online", null],
    ]);
    expect(events.events.filter(({ event }) => event === "progress")).toHaveLength(1);
  });

  test("forgets the jobs of an agent whose state was removed", async () => {
    await publish(job(1, { state: "running" }));
    const other = await ScriptedAgent.open(server.store, "gpu-2");
    other.jobs = [job(2, { agent: "gpu-2", state: "running" })];
    await other.publish();
    const before = await listenTo();
    await until(() => before.events.length === 3);
    server.store.states.delete("gpu-2");
    await publish(job(1, { state: "running", completed_bytes: 5 }));
    await until(() => before.events.length === 4);
    const after = await listenTo();
    expect(after.events.filter(({ event }) => event === "progress").map(({ data }) => data.id)).toEqual(["job-1"]);
  });

  test("ends every stream when the server stops", async () => {
    const listeners = [await listenTo(), await listenTo()];
    server.services.jobFeed.close();
    await Promise.all(listeners.map(async (events) => await events.ended()));
  });

  test("refuses more listeners than there is room for with 429, and has room again when one has gone", async () => {
    await publish(job(1, { state: "running" }));
    const { jobFeed } = server.services;
    const never = new AbortController().signal;
    const held = Array.from({ length: MAX_LISTENERS }, () => jobFeed.listen(undefined, never));
    await Promise.all(held.map(async (news) => await news.next()));
    for (const path of ["/v1/events", "/v1/jobs/job-1/events"]) {
      const { status, headers, body } = await server.call("GET", path);
      expect([status, headers.get("retry-after")]).toEqual([429, "5"]);
      expect(body).toMatchObject({ type: "urn:gpu-courier:exhausted", status: 429, code: "exhausted" });
      expect(body.hint).toContain("/v1/jobs");
    }
    await held[0]?.return(undefined);
    expect((await listenTo()).status).toBe(200);
    jobFeed.close();
  });

  test("asks proxies to pass events on at once", async () => {
    const { headers } = await server.call("GET", "/v1/jobs/nobody/events");
    expect(headers.get("x-accel-buffering")).toBeNull();
    const answer = await fetch(`${listener.url}/v1/events`, { headers: { authorization: `Bearer ${server.viewer}` } });
    expect([answer.headers.get("x-accel-buffering"), answer.headers.get("cache-control")]).toEqual(["no", "no-cache"]);
    await answer.body?.cancel();
  });

  test("answers HEAD without an endless body", async () => {
    const answer = await fetch(`${listener.url}/v1/events`, {
      method: "HEAD",
      headers: { authorization: `Bearer ${server.viewer}` },
    });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  });
});

test.each([3_600_000, -3_600_000])(
  "goes by the share's clock where the server's own is %p ms off",
  async (offsetMs) => {
    await using skewed = await openServer({ clock: new OffsetClock(offsetMs), store: new MemoryStore(systemClock) });
    await using socket = openSocket(skewed);
    const box = await ScriptedAgent.open(skewed.store, "gpu-1");
    const events = new EventListener();
    await events.connect(`${socket.url}/v1/events`, skewed.viewer);
    await until(() => events.events.length > 0);
    box.jobs = [ended(1)];
    await box.publish();
    await until(() => events.ends.length === 1);
    // A box that is seen only now: its ends are old ones.
    const late = await ScriptedAgent.open(skewed.store, "gpu-2");
    late.jobs = [ended(2, { ended_at: isoTime(Date.now() - 60_000) })];
    await late.publish();
    const body = { kind: "pull", model: "phi4", agents: ["gpu-9"] };
    const { body: answer } = await skewed.call("POST", "/v1/jobs", { body });
    await until(() => events.ends.length === 2);
    expect(events.ends).toEqual(["job-1", answer.jobs[0].id]);
    expect(Math.abs(Date.parse(answer.jobs[0].ended_at) - Date.now())).toBeLessThan(60_000);
    await events.cut();
  },
);

describe("GET /v1/jobs/{id}/events", () => {
  test("tells of one job alone and ends with its end", async () => {
    await publish(job(1, { state: "running" }), job(2));
    const events = await listenTo("/v1/jobs/job-1/events");
    await publish(ended(2), job(1, { state: "running", completed_bytes: 5 }));
    await until(() => events.events.length === 3);
    await publish(ended(2), ended(1));
    await events.ended();
    expect(events.events.map(({ event, data }) => [event, data.id])).toEqual([
      ["ready", undefined],
      ["progress", "job-1"],
      ["progress", "job-1"],
      ["ended", "job-1"],
    ]);
  });

  test("tells the end of a job that ended long ago, and answers 204 to who knows it", async () => {
    agent.oldJobs = [ended(1, { ended_at: "2026-01-01T00:00:00Z" })];
    const events = await listenTo("/v1/jobs/job-1/events");
    await events.ended();
    expect(events.ends).toEqual(["job-1"]);
    await comeBack(events, "/v1/jobs/job-1/events");
    expect(events.status).toBe(204);
  });

  test("tells who was away at its end of it, once", async () => {
    await publish(job(1));
    const events = await listenTo("/v1/jobs/job-1/events");
    await events.cut();
    await publish(ended(1));
    await comeBack(events, "/v1/jobs/job-1/events");
    await events.ended();
    expect(events.ends).toEqual(["job-1"]);
    await comeBack(events, "/v1/jobs/job-1/events");
    expect([events.status, events.ends.length]).toEqual([204, 1]);
  });

  test("finds a job that only the log of ends still knows", async () => {
    const events = await listenTo();
    await publish(ended(1));
    await until(() => events.ends.length === 1);
    await publish();
    expect((await server.call("GET", "/v1/jobs/job-1")).body).toMatchObject({ id: "job-1", state: "succeeded" });
    const one = await listenTo("/v1/jobs/job-1/events");
    await one.ended();
    expect(one.ends).toEqual(["job-1"]);
  });

  test("answers 404 for a job that nobody knows", async () => {
    expect((await server.call("GET", "/v1/jobs/nobody/events")).status).toBe(404);
  });
});

describe("as time passes", () => {
  let clock: ManualClock;
  let timed: ServerUnderTest;
  let socket: Listener;
  beforeEach(async () => {
    clock = new ManualClock();
    timed = await openServer({ clock, store: new MemoryStore(clock) });
    // Longer than the test lasts: a silent connection would be cut, and look like a stream that was ended.
    socket = listen({ host: "127.0.0.1", port: 0 }, createApi(timed.services).fetch, 60_000);
  });
  afterEach(async () => {
    await socket.close(0);
    await timed[Symbol.asyncDispose]();
  });

  test("a comment comes every 10 s without news, and the stream of a token that was revoked ends", async () => {
    const guest = timed.services.tokens.add("guest", "viewer");
    const events = new EventListener();
    await events.connect(`${socket.url}/v1/events`, guest);
    await until(() => events.events.length === 1);
    await clock.advance(10_000);
    await until(() => events.comments === 1);
    timed.services.tokens.revoke("guest");
    await clock.advance(10_000);
    await events.ended();
    expect([events.events.length, events.comments]).toEqual([1, 2]);
  });

  test("who does not read holds nothing up, is told of progress less often, and of the end all the same", async () => {
    const ROUNDS = 200;
    const note = "x".repeat(100_000);
    const busy = await ScriptedAgent.open(timed.store, "gpu-1");
    const slow = connect(Number(new URL(socket.url).port), "127.0.0.1");
    slow.pause();
    slow.write(`GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${timed.viewer}\r\n\r\n`);
    const quick = new EventListener();
    await quick.connect(`${socket.url}/v1/events`, timed.viewer);
    await until(() => quick.events.length > 0);
    for (let round = 1; round <= ROUNDS; round++) {
      const change: Partial<Job> = { state: round < ROUNDS ? "running" : "succeeded", completed_bytes: round, note };
      busy.jobs = [job(1, { ...change, ended_at: isoTime(clock.now() + 500) })];
      await busy.publish();
      await clock.advance(500);
      await until(() => quick.events.at(-1)?.data.completed_bytes === round);
    }
    expect(quick.ends).toEqual(["job-1"]);
    let text = "";
    slow.on("data", (chunk) => {
      text += chunk.toString();
    });
    slow.resume();
    await until(() => text.includes("event: ended"));
    slow.destroy();
    expect(text.split("event: progress").length).toBeLessThan(ROUNDS);
    await quick.cut();
  });
});

test("200 listeners are told every end exactly once, also those that come back, by one reader", async () => {
  const LISTENERS = 200;
  const reads = countReads();
  const listeners = await Promise.all(Array.from({ length: LISTENERS }, async () => await listenTo()));
  const startedMs = systemClock.monotonic();
  const all: Job[] = [];
  for (let round = 0; round < 6; round++) {
    const leaving = listeners.filter((_, index) => index % 6 === round);
    await Promise.all(leaving.map(async (events) => await events.cut()));
    for (let index = 0; index < 3; index++) all.push(ended(all.length));
    await publish(...all.slice(-20));
    await until(() => listeners.every((events) => leaving.includes(events) || events.ends.length === all.length));
    await Promise.all(leaving.map(async (events) => await comeBack(events)));
  }
  await until(() => listeners.every((events) => events.ends.length === all.length));
  const seconds = (systemClock.monotonic() - startedMs) / 1000;
  const expected = all.map(({ id }) => id ?? "");
  for (const { ends } of listeners) expect([ends.length, new Set(ends)]).toEqual([all.length, new Set(expected)]);
  // Twice a second, and one fresh look for those that come back at one time.
  expect(reads()).toBeLessThan(seconds * 2 + 20);
}, 20_000);

/** How often the transport's states were read since. */
function countReads(): () => number {
  const { transport } = server;
  const readStates = transport.readStates.bind(transport);
  let reads = 0;
  transport.readStates = async () => {
    reads += 1;
    return await readStates();
  };
  return () => reads;
}
