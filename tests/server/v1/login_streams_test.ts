// Event streams of users of the platform: a stream ends with what let its listener in.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimulatedPlatform } from "#sim/platform/platform.ts";
import { silentLog } from "#src/base/log.ts";
import { openLogin } from "#src/server/access/login/open.ts";
import type { LoginOptions } from "#src/server/access/login/options.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { EventListener } from "#tests/support/event_listener.ts";
import { EventSite } from "#tests/support/sites/event_site.ts";
import { until } from "#tests/support/until.ts";

const SECRET = "the secret of this platform, in 46 characters.";

let clock: ManualClock;
let platform: SimulatedPlatform;
let folder: string;

beforeEach(() => {
  clock = new ManualClock();
  platform = new SimulatedPlatform({ users: { ada: "admin" }, secret: SECRET, clock });
  folder = mkdtempSync(join(tmpdir(), "gpu-courier-login-streams-"));
  writeFileSync(join(folder, "secret"), SECRET);
  chmodSync(join(folder, "secret"), 0o600);
  writeFileSync(join(folder, "users"), "gp ada\n", { mode: 0o644 });
});
afterEach(async () => {
  await platform.stop();
  rmSync(folder, { recursive: true });
});

/** @returns how long the stream of this token lasted, in ms, until `meanwhile` or its own end ended it */
async function lengthOfStream(
  options: LoginOptions,
  token: string,
  meanwhile: () => unknown,
  by: "token" | "ticket" = "token",
): Promise<number> {
  const login = await openLogin(options, { clock, log: silentLog });
  const site = await EventSite.open({ clock, login, store: new MemoryStore(clock) }, 600_000);
  try {
    const events = new EventListener();
    if (by === "token") await events.connect(`${site.url}/v1/events`, token);
    else {
      const { body } = await site.server.call("POST", "/v1/tickets", { token });
      await events.connect(`${site.url}/v1/events?ticket=${body.ticket}`, null);
    }
    await until(() => events.events.length > 0);
    await meanwhile();
    await passes(clock, 500, () => site.server.services.listeners.total === 0);
    await events.ended();
    return clock.monotonic();
  } finally {
    await site.close();
  }
}

const byPlatform = (): LoginOptions => ({ authIntrospect: platform.whoAmI, authRole: ["gp=admin"] });
const bySecret = (): LoginOptions => ({ jwtSecretFile: join(folder, "secret"), jwtUsers: join(folder, "users") });

test.each([
  ["the platform", byPlatform],
  ["a secret", bySecret],
] as const)("a stream of a token verified by %s ends when the token does", async (_what, optionsOf) => {
  expect(await lengthOfStream(optionsOf(), platform.login("ada", 20), () => {})).toBeWithin(19_000, 21_001);
});

test("a stream ends within 35 s when its token is revoked", async () => {
  const token = platform.login("ada", 600);
  expect(await lengthOfStream(byPlatform(), token, () => platform.revoke(token))).toBeWithin(30_000, 36_000);
});

test("a stream that a ticket opened ends within 35 s when the platform revokes its token", async () => {
  const token = platform.login("ada", 600);
  expect(await lengthOfStream(byPlatform(), token, () => platform.revoke(token), "ticket")).toBeWithin(30_000, 36_000);
});

test("a stream that a ticket opened ends when the token does", async () => {
  const token = platform.login("ada", 20);
  expect(await lengthOfStream(bySecret(), token, () => {}, "ticket")).toBeWithin(19_000, 21_001);
});

test("a stream ends within 35 s when the platform goes away", async () => {
  const token = platform.login("ada", 600);
  expect(await lengthOfStream(byPlatform(), token, async () => await platform.stop())).toBeWithin(30_000, 36_000);
});

test("a stream ends within 5 s when its user is taken from the list", async () => {
  const takeOut = (): void => writeFileSync(join(folder, "users"), "# nobody\n");
  expect(await lengthOfStream(bySecret(), platform.login("ada", 600), takeOut)).toBeWithin(4_500, 6_000);
});
