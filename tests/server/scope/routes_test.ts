// What a token with limits may learn and do, on every route. A new route belongs into the table in routes.ts.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { OPEN_ROUTES, ROUTES } from "./routes.ts";
import { type Seen, seen } from "./seen.ts";
import { HIDDEN, OWN, type Subject } from "./subjects.ts";
import { openWorld, type World } from "./worlds.ts";

/** What the token for gpu-1 sees, also right after and while a token for all agents asks the same. */
async function askAll({ server, scoped }: World, route: string, subject: Subject): Promise<Seen[]> {
  const method = route.slice(0, route.indexOf(" "));
  const answers: Seen[] = [];
  for (const { path, body } of ROUTES[route]?.requests(subject) ?? []) {
    const ask = async (token: string) => await seen(await server.request(method, path, { token, body }));
    if (method === "GET") {
      await ask(server.gp);
      const [, meanwhile] = await Promise.all([ask(server.gp), ask(scoped)]);
      answers.push(meanwhile);
    }
    answers.push(await ask(scoped));
  }
  return answers;
}

test("the table has every route that needs a token, and each of its routes exists", async () => {
  await using server = await openServer();
  expect([...new Set(server.routes)].toSorted()).toEqual([...Object.keys(ROUTES), ...OPEN_ROUTES].toSorted());
});

describe.each(Object.keys(ROUTES))("%s, with a token for gpu-1", (route) => {
  test.each([
    ["gpu-1", OWN],
    ["gpu-2", HIDDEN],
  ] as const)("answers about %s as if gpu-2 did not exist", async (_, subject) => {
    await using has = await openWorld("with gpu-2");
    await using hasNot = await openWorld("without gpu-2");
    const answers = await askAll(has, route, subject);
    expect(answers).toEqual(await askAll(hasNot, route, subject));
    for (const { text } of subject === OWN ? answers : []) expect(text).not.toMatch(/gpu-2|hidden/);
    const wasAsked = has.hidden?.commands.filter(({ command }) => !["list_models", "list_jobs"].includes(command));
    if (!route.startsWith("GET")) expect(wasAsked).toEqual([]);
  });

  test("serves its own agent", async () => {
    await using world = await openWorld("with gpu-2");
    const statuses = (await askAll(world, route, OWN)).map(({ status }) => status);
    const { needs, onAll = false, status: known } = ROUTES[route] ?? {};
    if (needs === "no limits" || onAll || known !== undefined)
      expect(new Set(statuses)).toEqual(new Set([known ?? 403]));
    else for (const status of statuses) expect(status).toBeWithin(200, 300);
  });
});

test.each(Object.keys(ROUTES).filter((route) => route.startsWith("GET")))(
  "%s answers as if gpu-2 did not exist also while the share is away",
  async (route) => {
    await using has = await openWorld("with gpu-2");
    await using hasNot = await openWorld("without gpu-2");
    for (const { server, clock } of [has, hasNot]) {
      server.store.interrupt(new CourierError("unavailable", "The share is away"));
      await clock.advance(2_000);
    }
    for (const subject of [OWN, HIDDEN])
      expect(await askAll(has, route, subject)).toEqual(await askAll(hasNot, route, subject));
  },
);

test.each(Object.keys(ROUTES))("%s shows no path of the share while that is away", async (route) => {
  await using world = await openWorld("with gpu-2");
  const { server, clock } = world;
  const message = "Cannot list /mnt/shared/gpu_status: the share does not respond (EIO)";
  server.store.interrupt(new CourierError("unavailable", message, { hint: "sudo mount /mnt/shared" }));
  await clock.advance(2_000);
  const answers = await askAll(world, route, OWN);
  for (const { text } of answers) expect(text).not.toContain("/mnt/shared");
  for (const { status, text } of answers)
    if (status === 503) expect(text).toMatch(/The share cannot be used at the moment|"share"|share_stale/);
});

test("a token for all agents sees the path", async () => {
  await using world = await openWorld("with gpu-2");
  const { server, clock } = world;
  server.store.interrupt(new CourierError("unavailable", "Cannot list /mnt/shared/gpu_status: EIO"));
  await clock.advance(2_000);
  expect((await server.call("POST", "/v1/agents/gpu-1/ping")).body.detail).toContain("/mnt/shared");
});

/** The status of one request for each route, with a token that may use these verbs. */
async function statusOfEach({ server, clock }: World, token: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const [route, { requests }] of Object.entries(ROUTES)) {
    const [method = ""] = route.split(" ");
    const [{ path, body } = { path: "" }] = requests(OWN);
    // Nobody may ask more often.
    await clock.advance(100);
    found[route] = (await seen(await server.request(method, path, { token, body }))).status;
  }
  return found;
}

describe("--verbs", () => {
  const verbs = [...new Set(Object.values(ROUTES).map(({ needs }) => needs))];

  test.each(verbs.filter((verb) => verb !== "any" && verb !== "no limits"))(
    "with %p a token may use the routes for it, and no others",
    async (verb) => {
      await using world = await openWorld("without gpu-2");
      const { server } = world;
      const token = server.tokens.add("one-verb", "gp", { expiresAtMs: null, agents: null, verbs: [verb] });
      const isAllowed = Object.entries(await statusOfEach(world, token)).map(([route, status]) => [
        route,
        status !== 403,
      ]);
      const expected = Object.entries(ROUTES).map(([route, { needs }]) => [route, needs === verb || needs === "any"]);
      expect(isAllowed).toEqual(expected);
    },
  );

  test("a refusal names what the token may do, and where", async () => {
    await using server = await openServer();
    const limits = { expiresAtMs: null, agents: ["gpu-1"], verbs: ["list_models", "list_jobs"] as const };
    const token = server.tokens.add("reader", "gp", limits);
    const { status, body } = await server.call("DELETE", "/v1/agents/gpu-1/models/phi4", { token });
    expect([status, body.code, body.detail, body.hint]).toEqual([
      403,
      "forbidden",
      'Token "reader" may not use delete_model',
      "It may use list_models, list_jobs on gpu-1",
    ]);
    expect((await server.call("HEAD", "/v1/models", { token })).status).not.toBe(403);
    expect((await server.call("HEAD", "/v1/agents/gpu-1/running", { token })).status).toBe(403);
  });

  test("a path that is no route, however it is written, or has no such method, is answered as to any token", async () => {
    await using server = await openServer();
    const token = server.tokens.add("reader", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: ["ping"] });
    for (const path of ["/v1/jobs/", "/v1//jobs", "/api/config/models/x/y", "/v1/agents/a/models/b/x", "/v1/nothing"])
      expect([path, (await server.call("GET", path, { token })).status]).toEqual([path, 404]);
    for (const path of ["/v1/models", "/v1/audit", "/api/config/set-active-model"]) {
      const { status, headers } = await server.call("PUT", path, { token });
      expect([path, status, headers.has("allow")]).toEqual([path, 405, true]);
    }
    expect((await server.call("GET", "/v1/audit", { token })).status).toBe(403);
  });
});

test("/readyz shows why the share cannot be read only to tokens for all agents", async () => {
  await using server = await openServer();
  const token = server.tokens.add("scoped", "gp", { expiresAtMs: null, agents: ["gpu-1"], verbs: null });
  server.store.interrupt(new CourierError("unavailable", "gpu-2_status.json is away"));
  expect((await server.call("GET", "/readyz", { token })).body.detail).toBe("The share cannot be read");
  expect((await server.call("GET", "/readyz")).body.detail).toContain("gpu-2");
});
