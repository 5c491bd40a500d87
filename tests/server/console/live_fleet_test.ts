// src/console/store/: what the page knows of the fleet, without a browser, over a server that the test plays.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { EventParser } from "#src/console/api/event_parser.ts";
import { FleetStore } from "#src/console/store/fleet_store.ts";
import { LiveFleet } from "#src/console/store/live_fleet.ts";
import { EXAMPLES } from "#src/server/v1/schema/examples.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { until } from "#tests/support/until.ts";

const AGENT = EXAMPLES.agent;
const RUNNING = { ...EXAMPLES.job, id: "job-1", state: "running", completed_bytes: 5, ended_at: null } as const;
const ENDED = { ...RUNNING, state: "succeeded", ended_at: "2026-11-28T03:37:13.995Z" } as const;

/** The routes that the page reads, with lists and a stream that a test fills. */
class PlayedServer {
  agents: object[] = [AGENT];
  jobs: object[] = [];
  readonly opened: string[] = [];
  readonly asked: string[] = [];
  failure: CourierError | undefined;
  /** Requests go into a connection that died. */
  isMute = false;
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;

  readonly api = {
    get: async <Document>(path: string): Promise<Document> => {
      this.asked.push(path);
      const id = /^v1\/jobs\/(.*)$/.exec(path)?.[1];
      const job = this.jobs.find((each) => "id" in each && each.id === id);
      if (id !== undefined && job === undefined) throw new CourierError("not_found", "No such job");
      return await JSON.parse(JSON.stringify(job ?? { jobs: this.jobs }));
    },
    getAll: async <Item>(path: string, name: string): Promise<readonly Item[]> => {
      return await JSON.parse(
        JSON.stringify(name === "agents" ? this.agents : path.includes("running") ? this.jobs : []),
      );
    },
    open: async (path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> => {
      this.opened.push(path);
      if (this.failure !== undefined) throw this.failure;
      if (this.isMute) return await new Promise(() => undefined);
      const stream = new ReadableStream<Uint8Array>({ start: (controller) => void (this.#stream = controller) });
      signal.addEventListener("abort", () => this.cut());
      return await Promise.resolve(stream);
    },
  };

  send(event: string, data: object, id?: string): void {
    const fields = `event: ${event}\ndata: ${JSON.stringify(data)}\n${id === undefined ? "" : `id: ${id}\n`}\n`;
    this.#stream?.enqueue(new TextEncoder().encode(fields));
  }

  comment(): void {
    this.#stream?.enqueue(new TextEncoder().encode(": nothing new\n\n"));
  }

  cut(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.error(new Error("cut"));
  }
}

async function opened() {
  const [server, fleet, clock] = [new PlayedServer(), new FleetStore(), new ManualClock()];
  const live = new LiveFleet({ api: server.api, fleet, clock });
  live.start();
  await until(() => server.opened.length === 1);
  server.send("ready", { resumed: false }, "log-7");
  await until(() => fleet.contact === "live");
  return { server, fleet, clock, live };
}

test("the lists are read when the stream is open, and events change them", async () => {
  const { server, fleet, live } = await opened();
  expect(server.opened).toEqual(["v1/events?figures=true"]);
  expect(fleet.agents.map(({ agent }) => agent)).toEqual(["gpu-1"]);
  server.send("agent", { ...AGENT, status: "offline", reason: "silent" });
  server.send("progress", RUNNING);
  await until(() => fleet.job("job-1")?.completed_bytes === 5);
  expect(fleet.agent("gpu-1")?.reason).toBe("silent");
  const before = fleet.listVersion("gpu-1");
  server.send("models", { agent: "gpu-1" });
  await until(() => fleet.listVersion("gpu-1") !== before);
  server.send("removed", { agent: "gpu-1" });
  await until(() => fleet.agents.length === 0);
  expect(fleet.jobs).toEqual([]);
  live.stop();
});

test("an end is final: progress that arrives later changes nothing", async () => {
  const { server, fleet, live } = await opened();
  server.send("ended", ENDED, "log-8");
  server.send("progress", { ...RUNNING, completed_bytes: 6 });
  server.send("progress", { ...RUNNING, id: "job-2" });
  await until(() => fleet.job("job-2") !== undefined);
  expect(fleet.job("job-1")?.state).toBe("succeeded");
  live.stop();
});

test("after a cut it continues after the last event, and reads the lists again", async () => {
  const { server, fleet, clock, live } = await opened();
  server.send("progress", RUNNING);
  await until(() => fleet.job("job-1") !== undefined);
  server.cut();
  await until(() => fleet.contact === "lost");
  // Meanwhile the box went away, another came, and the job ended without an event.
  [server.agents, server.jobs] = [[{ ...AGENT, agent: "gpu-2" }], [ENDED]];
  await clock.advance(300);
  await until(() => server.opened.length === 2);
  expect(server.opened[1]).toBe("v1/events?figures=true&lastEventId=log-7");
  server.send("ready", { resumed: true }, "log-7");
  await until(() => fleet.contact === "live");
  expect([fleet.agents.map(({ agent }) => agent), fleet.job("job-1")?.state]).toEqual([["gpu-2"], "succeeded"]);
  live.stop();
  expect(fleet.contact).toBe("lost");
});

test("a job that no list has after a cut is looked up, and forgotten if nobody knows it", async () => {
  const { server, fleet, live } = await opened();
  server.send("progress", RUNNING);
  await until(() => fleet.job("job-1") !== undefined);
  live.reconnect();
  await until(() => server.opened.length === 2);
  server.send("ready", { resumed: true }, "log-7");
  await until(() => fleet.job("job-1") === undefined);
  expect(server.asked).toContain("v1/jobs/job-1");
  live.stop();
});

test("a stream without even a comment for 16 s is replaced, one with comments is not", async () => {
  const { server, fleet, clock, live } = await opened();
  await clock.advance(10_000);
  server.comment();
  await clock.advance(10_000);
  expect(fleet.contact).toBe("live");
  await clock.advance(7_000);
  await until(() => fleet.contact === "lost");
  await clock.advance(1_000);
  await until(() => server.opened.length === 2);
  live.stop();
});

test("a request for the stream without an answer for 5 s is sent again, and so is one for the lists", async () => {
  const { server, fleet, clock, live } = await opened();
  server.isMute = true;
  live.reconnect();
  await until(() => server.opened.length === 2);
  server.isMute = false;
  await clock.advance(5_000);
  await clock.advance(300);
  await until(() => server.opened.length === 3);
  const { getAll } = server.api;
  server.api.getAll = async () => await new Promise(() => undefined);
  server.send("ready", { resumed: true }, "log-7");
  await until(() => server.asked.length > 1);
  expect(fleet.contact).toBe("lost");
  server.api.getAll = getAll;
  await clock.advance(16_000);
  await clock.advance(1_000);
  await until(() => server.opened.length === 4);
  server.send("ready", { resumed: true }, "log-7");
  await until(() => fleet.contact === "live");
  live.stop();
});

test("a refused session ends the attempts, an unreachable server does not", async () => {
  const { server, fleet, clock, live } = await opened();
  server.failure = new CourierError("unavailable", "The server cannot be reached");
  server.cut();
  await until(() => fleet.contact === "lost");
  for (let attempt = 2; attempt < 9; attempt++) {
    // However long it was away, the page is right soon after it is back.
    await clock.advance(1_000);
    await until(() => server.opened.length >= attempt);
  }
  server.failure = new CourierError("unauthenticated", "No session");
  await clock.advance(5_000);
  const count = server.opened.length;
  await clock.advance(60_000);
  expect(server.opened.length).toBe(count);
  live.stop();
});

test("what did not change stays the same object, so that it is not drawn again", async () => {
  const { fleet, live } = await opened();
  const [before] = fleet.agents;
  fleet.setAgents([structuredClone(AGENT)]);
  expect(fleet.agents[0]).toBe(before);
  fleet.setAgents([{ ...AGENT, model_count: 99 }]);
  expect(fleet.agents[0]).not.toBe(before);
  live.stop();
});

test("EventParser puts events together from any pieces", () => {
  const text =
    'event: ready\ndata: {"a":1}\nid: x-1\nretry: 2000\n\n: nothing new\n\nevent: agent\ndata: {"b":"c: d"}\n\n';
  for (const size of [1, 7, text.length]) {
    const parser = new EventParser();
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    expect(pieces.flatMap((piece) => parser.push(piece))).toEqual([
      { event: "ready", data: '{"a":1}', id: "x-1" },
      { event: "agent", data: '{"b":"c: d"}', id: undefined },
    ]);
  }
});
