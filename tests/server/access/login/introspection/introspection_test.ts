// src/server/access/login/introspection/introspection.ts against a simulated platform: what is kept, what is refused, and an outage.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimulatedPlatform } from "#sim/platform/platform.ts";
import { CourierError } from "#src/base/errors.ts";
import { openLogin } from "#src/server/access/login/open.ts";
import type { LoginOptions } from "#src/server/access/login/options.ts";
import { TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { ListLog, refusalOf } from "../harness.ts";

const ROLES = { authRole: ["gp=admin,operator", "viewer=user"] };

let clock: ManualClock;
let log: ListLog;
let platform: SimulatedPlatform;

beforeEach(() => {
  clock = new ManualClock();
  log = new ListLog();
  platform = new SimulatedPlatform({ users: { ada: "admin", eve: "user", bob: "guest" }, clock });
});
afterEach(async () => await platform.stop());

async function open(options: LoginOptions = {}) {
  const login = await openLogin({ authIntrospect: platform.whoAmI, ...ROLES, ...options }, { clock, log });
  if (login === null) throw new Error("There is no login");
  return login;
}

/** Whose route was found right. */
async function openChecked(options: LoginOptions = {}) {
  const login = await open(options);
  await login.check();
  return login;
}

/** Answers everything with this document, also requests without a token. */
function alwaysSay(document: unknown): void {
  platform.fault = () => Response.json(document);
}

describe("authenticate()", () => {
  test("returns who the platform says it is, with the role that its role has here", async () => {
    const login = await open();
    const expiresAtMs = Math.floor(clock.now() / 1000) * 1000 + 60_000;
    const limits = { agents: null, verbs: null, expiresAtMs };
    const way = "introspection" as const;
    expect(await login.authenticate(platform.login("ada", 60))).toEqual({
      name: "user:ada",
      way,
      role: "gp",
      ...limits,
    });
    expect(await login.authenticate(platform.login("eve", 60))).toEqual({
      name: "user:eve",
      way,
      role: "viewer",
      ...limits,
    });
  });

  test("refuses a user without a role here with forbidden", async () => {
    const caller = await (await open()).authenticate(platform.login("bob"));
    expect(caller).toMatchObject({ code: "forbidden", message: '"user:bob" has no role here' });
  });

  test("refuses what the platform refuses, whatever its status, with unauthenticated", async () => {
    const login = await openChecked();
    expect(await refusalOf(login, platform.login("ada", -1))).toBe("unauthenticated");
    for (const status of [400, 401, 403, 404, 422]) {
      platform.fault = () => new Response("no", { status });
      expect(await refusalOf(login, `token-${status}`)).toBe("unauthenticated");
    }
    alwaysSay({ active: false, username: "ada", role: "admin" });
    expect(await refusalOf(login, "inactive")).toBe("unauthenticated");
  });

  test.each<[string, () => Response]>([
    ["500", () => new Response("down", { status: 500 })],
    ["429", () => new Response("slowly", { status: 429 })],
    ["204", () => new Response(null, { status: 204 })],
    ["text", () => new Response("<html>")],
    ["a list", () => Response.json(["admin"])],
    ["more than 64 kB", () => Response.json({ username: "ada", role: "admin", more: "x".repeat(64_000) })],
    ["half a document", () => new Response('{"username": "ada", "role": "admin"')],
  ])("lets nobody in when the platform answers %s, and shows the reason only in the log", async (_what, fault) => {
    const login = await openChecked();
    platform.fault = fault;
    const caller = await login.authenticate("secret-of-ada");
    expect(caller).toMatchObject({ code: "unavailable", message: "The platform's login does not work at the moment" });
    expect(log.text).toContain(new URL(platform.whoAmI).host);
    expect(log.text).not.toContain("secret-of-ada");
  });

  test("follows no redirect, so that no other host gets the token", async () => {
    let followed = 0;
    const other = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => {
        followed += 1;
        return Response.json({ username: "ada", role: "admin" });
      },
    });
    const login = await openChecked();
    platform.fault = () => Response.redirect(other.url.href, 307);
    expect(await refusalOf(login, "token")).toBe("unavailable");
    expect([followed, log.text.includes("redirects, which is not followed")]).toEqual([0, true]);
    await other.stop(true);
  });

  test("gives up after 2 s", async () => {
    const login = await openChecked();
    const answer = Promise.withResolvers<Response>();
    platform.fault = async () => await answer.promise;
    const startedMs = performance.now();
    expect(await refusalOf(login, "token")).toBe("unavailable");
    expect(performance.now() - startedMs).toBeWithin(1_900, 5_000);
    expect(log.text).toContain("does not answer within 2 s");
    answer.resolve(new Response());
  });

  test("never asks about what cannot be in a header", async () => {
    const login = await open();
    for (const token of ["", "a\nb", "schlüssel", "x".repeat(16_001)])
      expect(await refusalOf(login, token)).toBe("unauthenticated");
    expect(platform.asked).toEqual([]);
  });

  test("takes the role and the name from the fields that the options name", async () => {
    const options = { authRoleClaim: "realm.roles", authNameClaim: "profile.login" };
    const login = await openChecked({ ...options, authRole: ["viewer=user;gp=admin"] });
    alwaysSay({ sub: "7", profile: { login: "ada" }, realm: { roles: ["user", "admin"] } });
    expect(await login.authenticate("several-roles")).toMatchObject({ name: "user:ada", role: "gp" });
    alwaysSay({ sub: "7", role: "admin", profile: {}, realm: {} });
    expect(await login.authenticate("no-name")).toMatchObject({ code: "forbidden" });
    platform.fault = null;
    const flag = await openChecked({ authRoleClaim: "is_superuser", authRole: ["gp=true"] });
    alwaysSay({ sub: "7", is_superuser: true });
    expect(await flag.authenticate("a-flag")).toMatchObject({ name: "user:7", role: "gp" });
  });
});

describe("over TLS", () => {
  test("trusts the certificates of --auth-introspect-ca, and no others", async () => {
    const [servers, strangers] = [new TlsServers(), new TlsServers()];
    const folder = mkdtempSync(join(tmpdir(), "gpu-courier-login-tls-"));
    const authIntrospectCa = join(folder, "ca.pem");
    try {
      writeFileSync(authIntrospectCa, servers.pem, { mode: 0o644 });
      const answer = (_url: URL, { headers }: Request): Response =>
        headers.has("authorization")
          ? Response.json({ username: "ada", role: "admin" })
          : new Response("no", { status: 401 });
      const [known, stranger] = [servers, strangers].map((each) => `https://${each.start(answer).host}/users/me`);
      const refusals = [
        await refusalOf(await open({ authIntrospect: known, authIntrospectCa }), "token"),
        await refusalOf(await open({ authIntrospect: stranger, authIntrospectCa }), "token"),
        await refusalOf(await open({ authIntrospect: known }), "token"),
      ];
      expect(refusals).toEqual(["none", "unavailable", "unavailable"]);
    } finally {
      await Promise.all([servers.stop(), strangers.stop()]);
      rmSync(folder, { recursive: true });
    }
  });
});

describe("what is kept", () => {
  test("a yes counts for 30 s from its question, also while the platform is away, and then nobody is let in", async () => {
    const login = await open();
    const token = platform.login("ada");
    expect(await login.authenticate(token)).toMatchObject({ role: "gp" });
    platform.fault = () => new Response("down", { status: 503 });
    await clock.advance(29_999);
    expect(await login.authenticate(token)).toMatchObject({ role: "gp" });
    await clock.advance(1);
    expect(await login.authenticate(token)).toMatchObject({ code: "unavailable" });
    platform.fault = null;
    expect(await login.authenticate(token)).toMatchObject({ role: "gp" });
  });

  test("a token that was revoked, or has another role, is asked about again after 30 s", async () => {
    const login = await open();
    const [ada, eve] = [platform.login("ada"), platform.login("eve")];
    for (const token of [ada, eve]) await login.authenticate(token);
    platform.revoke(ada);
    platform.setRole("eve", "admin");
    await clock.advance(30_000);
    expect(await login.authenticate(ada)).toMatchObject({ code: "unauthenticated" });
    expect(await login.authenticate(eve)).toMatchObject({ role: "gp" });
  });

  test("a refusal counts for 5 s", async () => {
    const login = await open();
    const token = platform.login("bob");
    expect(await refusalOf(login, token)).toBe("forbidden");
    platform.setRole("bob", "user");
    await clock.advance(4_999);
    expect(await refusalOf(login, token)).toBe("forbidden");
    await clock.advance(1);
    expect(await login.authenticate(token)).toMatchObject({ role: "viewer" });
    expect(platform.asked).toHaveLength(2);
  });

  test("a yes does not outlive the token", async () => {
    const login = await open();
    const token = platform.login("ada", 10);
    expect(await login.authenticate(token)).toMatchObject({ role: "gp" });
    await clock.advance(10_000);
    expect(await refusalOf(login, token)).toBe("unauthenticated");
  });

  test("requests at the same time share one question, and another token has its own", async () => {
    const login = await open();
    const [ada, eve] = [platform.login("ada"), platform.login("eve")];
    const callers = await Promise.all([ada, ada, eve, ada].map(async (token) => await login.authenticate(token)));
    expect(callers.map((caller) => (caller instanceof CourierError ? caller.code : caller.role))).toEqual([
      "gp",
      "gp",
      "viewer",
      "gp",
    ]);
    expect(platform.asked.toSorted()).toEqual([ada, eve].toSorted());
  });
});

describe("check()", () => {
  test("resolves when the route refuses a request without a token, and asks with none", async () => {
    await (await open()).check();
    expect(platform.asked).toEqual([]);
  });

  test("names another route, one that lets everybody in, and a platform that is away", async () => {
    const wrong = await open({ authIntrospect: platform.whoAmI.replace("users/me", "nothing") });
    expect((await failure(wrong.check())).message).toEndWith("answers 404 without a token, not 401");
    const login = await open();
    alwaysSay({ username: "anonymous" });
    expect((await failure(login.check())).message).toEndWith("answers 200 without a token, not 401");
    await platform.stop();
    expect(await failure(login.check())).toMatchObject({ code: "unavailable" });
  });
});

describe("a route that does not refuse a request without a token", () => {
  test("lets nobody in, is named in the log, and counts once it refuses", async () => {
    const login = await open();
    alwaysSay({ username: "ada", role: "admin" });
    expect(await Promise.all(["a", "b"].map(async (token) => await refusalOf(login, token)))).toEqual([
      "unavailable",
      "unavailable",
    ]);
    expect(log.text).toContain("answers 200 without a token, not 401");
    platform.fault = null;
    const ada = platform.login("ada");
    await clock.advance(4_999);
    expect(await refusalOf(login, ada)).toBe("unavailable");
    await clock.advance(1);
    expect(await refusalOf(login, ada)).toBe("none");
  });

  test("ends what is kept when the self-check finds it", async () => {
    const login = await open();
    const ada = platform.login("ada");
    expect(await refusalOf(login, ada)).toBe("none");
    alwaysSay({ username: "ada", role: "admin" });
    await failure(login.check());
    expect(await refusalOf(login, ada)).toBe("unavailable");
  });

  test("is asked for once by all who come first, and again 5 s after the platform was away", async () => {
    let asked = 0;
    platform.fault = () => {
      asked += 1;
      return new Response("down", { status: 503 });
    };
    const login = await open();
    const [ada, eve] = [platform.login("ada"), platform.login("eve")];
    const both = async (): Promise<string[]> =>
      await Promise.all([ada, eve].map(async (token) => await refusalOf(login, token)));
    expect([await both(), await both(), asked]).toEqual([
      ["unavailable", "unavailable"],
      ["unavailable", "unavailable"],
      1,
    ]);
    platform.fault = null;
    await clock.advance(5_000);
    expect(await both()).toEqual(["none", "none"]);
  });

  test("is no longer in doubt while the platform is away", async () => {
    const login = await open();
    const ada = platform.login("ada");
    expect(await refusalOf(login, ada)).toBe("none");
    platform.fault = () => new Response("down", { status: 502 });
    await failure(login.check());
    expect(await refusalOf(login, ada)).toBe("none");
    alwaysSay({ username: "ada", role: "admin" });
    await failure(login.check());
    platform.fault = () => new Response("down", { status: 502 });
    await failure(login.check());
    expect(await refusalOf(login, ada)).toBe("unavailable");
  });
});
