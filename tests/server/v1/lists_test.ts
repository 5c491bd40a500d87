// The lists of /v1: pages, filters, orders, and responses that the caller has already.
import { describe, expect, test } from "bun:test";
import { type Job, newPull } from "#src/protocol.ts";
import { settle } from "#tests/support/clocks/manual_clock.ts";
import { modelOf, ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { type Answered, openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";

const NAMES = Array.from({ length: 12 }, (_, index) => `gpu-${index + 1}`);

async function openFleet(): Promise<ServerUnderTest & { readonly agents: readonly ScriptedAgent[] }> {
  const server = await openServer();
  const agents: ScriptedAgent[] = [];
  for (const [index, name] of NAMES.entries()) {
    const agent = await ScriptedAgent.open(server.store, name, {
      models: [
        modelOf("phi4:latest"),
        modelOf(`own-${index}:1b`, {
          size: 100 - index,
          digest: `d${index}`,
          modified_at: `2026-04-0${1 + (index % 9)}T00:00:00Z`,
        }),
      ],
    });
    agent.jobs = [{ ...newPull(`job-${index}`, name, "phi4:latest"), state: index % 2 === 0 ? "running" : "failed" }];
    const rack = index % 3 === 0 ? "a" : "b";
    await agent.publish({
      labels: { rack, ...(index === 0 ? { spare: "" } : {}) },
      ...(index === 1 ? { status: "stopped" } : {}),
    });
    agents.push(agent);
  }
  return Object.assign(server, { agents });
}

/** Collects all pages. */
async function follow(server: ServerUnderTest, path: string, field: string) {
  const entries: { readonly agent?: string; readonly name?: string; readonly id?: string; readonly size?: number }[] =
    [];
  const pages: Answered[] = [];
  for (let next: string | undefined = path; next !== undefined; ) {
    const page: Answered = await server.call("GET", next);
    expect(page.status).toBe(200);
    pages.push(page);
    entries.push(...page.body[field]);
    const [, link] = /^<([^>]*)>; rel="next"$/.exec(page.headers.get("link") ?? "") ?? [];
    expect(link === undefined).toBe(page.body.next === undefined);
    next = link && path.replace(/\?.*/, link);
  }
  return { entries, pages };
}

describe("pages", () => {
  test.each([
    ["agents", "/v1/agents?limit=5", "agent"],
    ["models", "/v1/models?limit=4", "name"],
    ["models", "/v1/models?limit=4&sort=-size", "name"],
    ["jobs", "/v1/jobs?limit=5&sort=-created_at", "id"],
  ])("of %s have every entry once: %s", async (field, path, key) => {
    await using server = await openFleet();
    const whole = (await server.call("GET", path.replace(/limit=\d+/, "limit=10000"))).body;
    const { entries, pages } = await follow(server, path, field);
    expect(whole[field].length).toBeGreaterThan(10);
    expect(entries).toEqual(whole[field]);
    expect(pages.length).toBeGreaterThan(2);
    expect(new Set(entries.map((entry) => Reflect.get(entry, key))).size).toBe(entries.length);
    // A client that collects all pages has each agent that is away once.
    if (field === "models")
      expect(pages.map(({ body }) => body.unavailable?.length)).toEqual([1, ...pages.slice(1).map(() => undefined)]);
  });

  test("continue behind the last entry when entries come and go in between", async () => {
    await using server = await openFleet();
    const first = (await server.call("GET", "/v1/agents?limit=3")).body;
    expect(first.agents.map(({ agent }: { agent: string }) => agent)).toEqual(["gpu-1", "gpu-10", "gpu-11"]);
    server.store.removeState("gpu-11");
    await ScriptedAgent.open(server.store, "gpu-0");
    await ScriptedAgent.open(server.store, "gpu-110");
    const second = (await server.call("GET", `/v1/agents?limit=3&after=${first.next}`)).body;
    expect(second.agents.map(({ agent }: { agent: string }) => agent)).toEqual(["gpu-110", "gpu-12", "gpu-2"]);
  });

  test("no longer have an agent that was forgotten", async () => {
    await using server = await openFleet();
    const operator = server.store.open();
    await operator.connect();
    const { publishedAtMs } = (await operator.readState("gpu-2")) ?? { publishedAtMs: 0 };
    expect(await operator.forget("gpu-2", publishedAtMs)).toEqual({ commands: 0 });
    await settle();
    const { agents } = (await server.call("GET", "/v1/agents?limit=100")).body;
    expect(agents.map(({ agent }: { agent: string }) => agent)).toEqual(
      NAMES.filter((name) => name !== "gpu-2").toSorted(),
    );
    await operator.close();
  });

  test("end at nothing that a document can hold", async () => {
    await using server = await openServer();
    const [long, longest] = ["\u0001".repeat(1000), "x".repeat(200_000)];
    const models = [long, longest, "phi4:latest"].map((name) => modelOf(name, { modified_at: "2026-01-01T00:00:00Z" }));
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    await agent.publishRaw({ models });
    const { entries } = await follow(server, "/v1/models?limit=1", "models");
    expect(entries.map(({ name }) => name)).toEqual([long, "phi4:latest"]);
  });

  test.each([
    "after=x",
    "after=e30",
    `after=${Buffer.from('["-name",["gpu-1"]]').toString("base64url")}`,
    "limit=0",
    "limit=10001",
    "limit=x",
    "sort=age",
  ])("answer 400 for %s", async (query) => {
    await using server = await openFleet();
    const { status, body } = await server.call("GET", `/v1/agents?${query}`);
    expect([status, body.code]).toEqual([400, "invalid"]);
  });
});

describe("filters and orders", () => {
  test.each([
    ["agents", "name=gpu-1?", "agent", ["gpu-10", "gpu-11", "gpu-12"]],
    ["agents", "status=offline", "agent", ["gpu-2"]],
    ["agents", "label=rack%3Da", "agent", ["gpu-1", "gpu-10", "gpu-4", "gpu-7"]],
    ["agents", "label=spare", "agent", ["gpu-1"]],
    ["agents", "label=spare%3Dno", "agent", []],
    ["agents", "label=constructor", "agent", []],
    ["agents", "sort=-name&limit=2", "agent", ["gpu-9", "gpu-8"]],
    ["models", "name=own-1*&sort=name", "name", ["own-10:1b", "own-11:1b"]],
    ["models", "sort=size&limit=2", "name", ["own-11:1b", "own-10:1b"]],
    ["models", "agent=gpu-3&sort=name", "name", ["own-2:1b", "phi4:latest"]],
    ["jobs", "state=failed&limit=2", "id", ["job-9", "job-11"]],
    ["jobs", "state=failed,running&limit=2", "id", ["job-0", "job-9"]],
    ["jobs", "state=failed&state=running&limit=2", "id", ["job-0", "job-9"]],
    ["jobs", "state=retrying,failed&agent=gpu-1", "id", []],
    ["jobs", "agent=gpu-3", "id", ["job-2"]],
    ["jobs", "model=PHI4&limit=2", "id", ["job-0", "job-9"]],
    ["jobs", "model=phi*&limit=1&state=failed", "id", ["job-9"]],
    ["jobs", "model=phi", "id", []],
  ])("of %s: %s", async (field, query, key, expected) => {
    await using server = await openFleet();
    const { status, body } = await server.call("GET", `/v1/${field}?${query}`);
    expect(status).toBe(200);
    expect(body[field].map((entry: object) => Reflect.get(entry, key))).toEqual(expected);
  });
});

describe("a list that has not changed", () => {
  test.each(["/v1/agents", "/v1/models", "/v1/jobs", "/v1/agents/gpu-1", "/v1/agents/gpu-1/models"])(
    "is answered with 304 under %s, and a changed one with 200",
    async (path) => {
      await using server = await openFleet();
      const first = await server.call("GET", path);
      const tag = first.headers.get("etag") ?? "";
      expect(tag).toMatch(/^W\/"[0-9a-z]+"$/);
      expect(first.headers.get("cache-control")).toBe("private, no-cache");
      expect(first.headers.get("vary")).toBe("Authorization, Cookie, Origin, Accept-Encoding");
      const conditions = { headers: { "if-none-match": `"other", ${tag}` } };
      const again = await server.call("GET", path, conditions);
      expect([again.status, again.body, again.headers.get("etag")]).toEqual([304, undefined, tag]);
      // Signs of life are no change.
      await server.agents[0]?.publish({ labels: { rack: "a", spare: "" } });
      expect((await server.call("GET", path, conditions)).status).toBe(304);
      const other = [modelOf("new:1b", { digest: "new" })];
      await server.agents[0]?.publish({ models: other, model_count: 9, jobs: [newPull("job-new", "gpu-1", "a:1")] });
      const changed = await server.call("GET", path, conditions);
      expect([changed.status, changed.headers.get("etag") === tag]).toEqual([200, false]);
    },
  );

  test("is not answered with 304 to a caller without a valid token", async () => {
    await using server = await openFleet();
    const tag = (await server.call("GET", "/v1/agents")).headers.get("etag") ?? "";
    const { status } = await server.call("GET", "/v1/agents", { token: null, headers: { "if-none-match": tag } });
    expect(status).toBe(401);
  });
});

test("the address of the next page repeats what the query repeats", async () => {
  await using server = await openFleet();
  const { headers } = await server.call("GET", "/v1/jobs?state=failed&state=running&limit=2");
  expect(headers.get("link")).toMatch(/^<\?state=failed&state=running&limit=2&after=[^&]+>; rel="next"$/);
});

test("state=retrying lists the jobs whose last attempt failed, until the next one receives something", async () => {
  await using server = await openServer();
  const agent = await ScriptedAgent.open(server.store, "gpu-1");
  const pull = (id: string, change: Partial<Job>): Job => ({ ...newPull(id, "gpu-1", id), ...change });
  agent.jobs = [
    pull("waits", { retry_at: "2026-04-01T00:00:00Z", waiting_for: "retrying: no such host" }),
    pull("tries", { state: "running", phase: "manifest", note: "retrying: no such host" }),
    pull("older", { state: "running", note: "waiting 8 s after: no such host" }),
    pull("moves", { state: "running", note: "retrying: no such host", bytes_per_second: 5 }),
    pull("behind", { waiting_for: "queued behind waits (retrying: no such host)" }),
    pull("ended", { state: "failed", note: "retrying: no such host" }),
  ];
  await agent.publish();
  const ids = async (state: string) =>
    (await server.call("GET", `/v1/jobs?state=${state}`)).body.jobs.map(({ id }: Job) => id);
  expect(await ids("retrying")).toEqual(["older", "tries", "waits"]);
  expect(await ids("retrying,failed")).toEqual(["ended", "older", "tries", "waits"]);
  expect(await ids("queued")).toEqual(["behind", "waits"]);
});

test("/openapi.json describes pages, filters, orders and 304", async () => {
  await using server = await openServer();
  const { body } = await server.call("GET", "/openapi.json", { token: null });
  for (const [path, names] of [
    ["/v1/agents", ["limit", "after", "name", "status", "label", "sort"]],
    ["/v1/models", ["agent", "limit", "after", "fresh", "name", "sort"]],
    ["/v1/jobs", ["agent", "limit", "after", "state", "model", "sort"]],
  ] as const) {
    const { parameters, responses } = body.paths[path].get;
    const queries = parameters.filter((each: { in: string }) => each.in === "query");
    expect(queries.map(({ name }: { name: string }) => name)).toEqual(names);
    expect(queries.find(({ name }: { name: string }) => name === "limit").schema).toMatchObject({
      default: 1000,
      maximum: 10_000,
    });
    expect(Object.keys(responses["200"].headers)).toEqual(["ETag", "Link"]);
    expect(Object.keys(responses)).toContain("304");
  }
  // The first entry of a list is often taken for the newest.
  expect(body.paths["/v1/jobs"].get.description).toContain("`?sort=-created_at&limit=1` is the newest job");
});
