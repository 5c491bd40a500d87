// src/server/store/shared/sessions.ts: browsers that signed in at one server, and links that sign in once.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { signInLink } from "#src/server/access/sessions/link_command.ts";
import { Sessions } from "#src/server/access/sessions/sessions.ts";
import { storeDir } from "#src/server/store/shared/open.ts";
import { until } from "#tests/support/until.ts";
import { SharedStores } from "./store.ts";

let stores: SharedStores;
beforeEach(async () => {
  stores = await SharedStores.open();
});
afterEach(async () => await stores.close());

function place() {
  return { kind: "nats", stateDir: stores.dirs[0], addresses: [stores.nats.url], nats: {} } as const;
}

/** What two servers have of sessions. */
async function twoServers() {
  const opened = [await stores.server(storeDir(place())), await stores.server(stores.dirs[1])] as const;
  const [one, other] = opened.map(({ store }) => {
    const sessions = new Sessions({ store: store.sessions, tokens: store.tokens, clock: systemClock });
    return { store, sessions };
  });
  if (one === undefined || other === undefined) throw new Error("Two servers are open");
  return [one, other] as const;
}

test("a session that begins at one server is open at the other, and ends at both", async () => {
  const [one, other] = await twoServers();
  const token = await one.store.tokens.add("demo", "viewer");
  const begun = [
    await one.sessions.begin({ name: "demo", way: "token" }, token),
    await one.sessions.begin({ name: "somebody", way: "jwt" }, "platform's token"),
  ];
  for (const session of begun) {
    if (session === undefined) throw new Error("There is room for it");
    await until(() => other.sessions.open(session) !== undefined);
    expect(other.sessions.open(session)).toEqual(one.sessions.open(session));
    await other.sessions.end(session);
    expect(other.sessions.open(session)).toBeUndefined();
    await until(() => one.sessions.open(session) === undefined);
  }
});

test("a sign-in link works at any server, once", async () => {
  const [one, other] = await twoServers();
  await one.store.tokens.add("demo", "viewer");
  const link = await signInLink(place(), "demo", new URL("http://127.0.0.1:8001"));
  const code = new URL(link).hash.replace("#code=", "");
  for (const { sessions } of [one, other]) await until(() => !(sessions.tokenOf(code) instanceof CourierError));
  const redeemed = await Promise.all([one.sessions.redeem(code), other.sessions.redeem(code)]);
  expect(redeemed.filter((result) => result instanceof CourierError)).toMatchObject([{ code: "unauthenticated" }]);
  expect(await one.sessions.redeem(code)).toMatchObject({ code: "unauthenticated" });
});

test("while NATS is away sessions go on, and a sign-out ends its session at this server", async () => {
  const [one] = await twoServers();
  const token = await one.store.tokens.add("demo", "viewer");
  const begin = async () => await one.sessions.begin({ name: "demo", way: "token" }, token);
  const session = await begin();
  if (session === undefined) throw new Error("There is room for it");
  await stores.nats.kill();
  expect(one.sessions.open(session)).toBeDefined();
  expect(await begin().catch((error: unknown) => error)).toMatchObject({ code: "unavailable" });
  expect(await one.sessions.end(session).catch((error: unknown) => error)).toMatchObject({ code: "unavailable" });
  expect(one.sessions.open(session)).toBeUndefined();
});
