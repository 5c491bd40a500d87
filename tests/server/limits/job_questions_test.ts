// Which unknown job ids the agents are asked for, and how often.
import { describe, expect, test } from "bun:test";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { job } from "#tests/support/sites/event_site.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const DAY_MS = 86_400_000;

async function statusOf(server: ServerUnderTest, ...ids: readonly string[]): Promise<number[]> {
  return await Promise.all(ids.map(async (id) => (await server.call("GET", `/v1/jobs/${id}`)).status));
}

describe("JobQuestions", () => {
  test("asks no agent for an id that is no UUIDv7 of the last 30 days", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const ids = [
      "job-1",
      crypto.randomUUID(),
      Bun.randomUUIDv7().replaceAll("-", ""),
      Bun.randomUUIDv7("hex", Date.now() - 31 * DAY_MS),
      Bun.randomUUIDv7("hex", Date.now() + 2 * DAY_MS),
    ];
    expect(await statusOf(server, ...ids)).toEqual(ids.map(() => 404));
    expect(agent.commands).toEqual([]);
    const { body } = await server.call("GET", "/v1/jobs/job-1");
    expect(body).toMatchObject({ code: "not_found", detail: expect.stringContaining("the last 30 days") });
  });

  test("asks for an id once in 10 s, however often and by whatever route it is wanted", async () => {
    const clock = new ManualClock(Date.now());
    await using server = await openServer({ clock });
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const id = Bun.randomUUIDv7("hex", Date.now() - 29 * DAY_MS);
    expect(await statusOf(server, id, id, id)).toEqual([404, 404, 404]);
    expect((await server.call("POST", `/v1/jobs/${id}/cancel`)).status).toBe(404);
    expect((await server.call("GET", `/v1/jobs/${id}/events`)).status).toBe(404);
    expect(agent.commands.map(({ command }) => command)).toEqual(["list_jobs"]);
    await clock.advance(10_000);
    expect(await statusOf(server, id)).toEqual([404]);
    expect(agent.commands).toHaveLength(2);
  });

  test("asks each agent once in 10 s, however many ids are wanted", async () => {
    const clock = new ManualClock(Date.now());
    await using server = await openServer({ clock });
    const agents = [await ScriptedAgent.open(server.store, "gpu-1"), await ScriptedAgent.open(server.store, "gpu-2")];
    const unknown = Array.from({ length: 20 }, () => Bun.randomUUIDv7());
    const old = Bun.randomUUIDv7("hex", Date.now() - DAY_MS);
    for (const agent of agents) agent.oldJobs = [job(1, { agent: agent.name, id: old, state: "succeeded" })];
    expect(await statusOf(server, ...unknown, old)).toEqual([...unknown.map(() => 404), 200]);
    expect(agents.map(({ commands }) => commands.length)).toEqual([1, 1]);
    await clock.advance(10_000);
    expect(await statusOf(server, ...unknown)).toEqual(unknown.map(() => 404));
    expect(agents.map(({ commands }) => commands.length)).toEqual([2, 2]);
  });

  test("finds an old job that only its agent still has", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    const id = Bun.randomUUIDv7("hex", Date.now() - DAY_MS);
    agent.oldJobs = [job(1, { id, state: "succeeded" })];
    expect(await statusOf(server, id)).toEqual([200]);
  });
});
