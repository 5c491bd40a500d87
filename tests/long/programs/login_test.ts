// gpu-server with the platform's own login, as real processes: its users' tokens, every way, and the exit statuses.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SimulatedPlatform } from "#sim/platform/platform.ts";
import { systemClock } from "#src/base/clock.ts";
import { type HttpServer, ProcessSite, until } from "#tests/process/site/site.ts";
import { newSigner, signed } from "#tests/server/access/login/tokens.ts";

const SECRET = "the secret of this platform, in 46 characters.";
const MODELS = "/api/config/models";

let site: ProcessSite;
let platform: SimulatedPlatform;

beforeEach(() => {
  site = new ProcessSite();
  const users = { ada: "admin", eve: "user", bob: "guest" };
  platform = new SimulatedPlatform({ users, secret: SECRET, clock: systemClock });
});
afterEach(async () => {
  await site.close();
  await platform.stop();
});

function byPlatform(): string[] {
  return ["--auth-introspect", platform.whoAmI, "--auth-role", "gp=admin,operator", "--auth-role", "viewer=user"];
}

/** @returns its path */
function write(name: string, content: string): string {
  const path = join(site.dir, name);
  writeFileSync(path, content);
  chmodSync(path, 0o600);
  return path;
}

async function ask({ url }: HttpServer, token: string, path = MODELS) {
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, text: await response.text() };
}

test("a user's token lists the models, others get 403, a revoked one 401, and nobody is let in without the platform", async () => {
  const ollama = await site.ollama({ installed: [{ name: "phi4:latest", layers: [9_000] }] });
  await site.agent("gpu-1", ollama.url);
  const server = await site.server(byPlatform());
  const [ada, eve, bob, other] = [
    platform.login("ada"),
    platform.login("eve"),
    platform.login("bob"),
    platform.login("ada", 900),
  ];
  const models = await until(async () => {
    const answer = await ask(server, ada);
    return answer.status === 200 && answer;
  }, "the agent's models are there");
  expect(models.text).toContain("phi4:latest");
  expect((await ask(server, bob)).status).toBe(403);
  expect((await ask(server, eve)).status).toBe(403);
  expect((await ask(server, eve, "/v1/agents")).status).toBe(200);
  platform.revoke(other);
  expect((await ask(server, other)).status).toBe(401);
  await platform.stop();
  expect((await ask(server, platform.login("eve", 900), "/v1/agents")).status).toBe(503);
  expect((await ask(server, ada)).status).toBe(200);
  expect((await ask(server, server.tokens.gp)).status).toBe(200);
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  for (const token of [ada, eve, bob, other]) expect(server.process.log).not.toContain(token.slice(-40));
});

test("a shared secret and a list of users let in whom they name", async () => {
  const users = write("users", "viewer ada\n");
  const server = await site.server(["--jwt-secret-file", write("secret", `${SECRET}\n`), "--jwt-users", users]);
  expect((await ask(server, platform.login("ada"), "/v1/agents")).status).toBe(200);
  expect((await ask(server, platform.login("ada", 8 * 86_400), "/v1/agents")).status).toBe(401);
  expect((await ask(server, platform.login("eve"), "/v1/agents")).status).toBe(403);
});

test("public keys let in what they verify", async () => {
  const [signer, stranger] = [newSigner("RS256", "a"), newSigner("RS256", "a")];
  const keys = write("keys.json", JSON.stringify({ keys: [signer.jwk] }));
  const server = await site.server(["--jwt-jwks", keys, "--jwt-audience", "gpu", "--auth-role", "gp=admin"]);
  const claims = { sub: "ada", role: ["admin"], aud: "gpu", exp: Math.floor(Date.now() / 1000) + 60 };
  expect((await ask(server, signed(claims, signer), "/v1/agents")).status).toBe(200);
  expect((await ask(server, signed(claims, stranger), "/v1/agents")).status).toBe(401);
  expect((await ask(server, signed({ ...claims, aud: "other" }, signer), "/v1/agents")).status).toBe(401);
});

test("it starts while the platform is away, logs that, and needs no token of its own then", async () => {
  await platform.stop();
  const flags = ["--share", site.share, "--state-dir", join(site.dir, "state"), "--port", "0", "--log-format", "json"];
  const server = site.start("server.ts", [...flags, ...byPlatform(), "--host", "0.0.0.0"]);
  const { reason } = await server.logged("The platform's login unavailable");
  expect(reason).toMatch(/^127\.0\.0\.1:\d+ cannot be reached: \w+$/);
  expect(await server.stop()).toBe(0);
});

test("it exits 64 for two ways at once, wherever they are set, and 77 for a secret that others may read", async () => {
  const secret = write("secret", SECRET);
  const jwt = ["--jwt-secret-file", secret, "--auth-role", "gp=admin"];
  const both = await site.run("server.ts", [...byPlatform(), ...jwt]);
  expect([both.status, both.stderr]).toEqual([64, expect.stringContaining("cannot be used together")]);
  const mixed = site.start("server.ts", byPlatform(), { GPU_COURIER_JWT_SECRET_FILE: secret });
  expect(await mixed.exited()).toBe(64);
  chmodSync(secret, 0o644);
  const open = await site.run("server.ts", jwt);
  expect([open.status, open.stderr]).toEqual([77, expect.stringContaining("chmod 600")]);
});

test("it takes its options from the environment, and --help teaches them", async () => {
  const env = { GPU_COURIER_AUTH_INTROSPECT: platform.whoAmI, GPU_COURIER_AUTH_ROLE: "gp=admin;viewer=user" };
  const flags = ["--share", site.share, "--state-dir", join(site.dir, "state"), "--port", "0", "--log-format", "json"];
  const running = site.start("server.ts", flags, env);
  const { url } = await running.logged('"Listening"');
  const headers = { authorization: `Bearer ${platform.login("eve")}` };
  expect((await fetch(`${String(url)}/api/config/available-models`, { headers })).status).toBe(403);
  const { stdout } = await site.run("server.ts", ["--help"]);
  for (const text of [
    "The platform's own login:",
    "--auth-introspect <url>",
    "GPU_COURIER_AUTH_ROLE",
    "gp=admin,operator",
  ])
    expect(stdout).toContain(text);
});
