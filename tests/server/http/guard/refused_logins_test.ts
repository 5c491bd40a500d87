// What the log has of requests without a valid token.
import { beforeEach, expect, test } from "bun:test";
import { z } from "zod";
import type { Log } from "#src/base/log.ts";
import { createApi } from "#src/server/api.ts";
import { listen } from "#src/server/http/listen.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

let lines: unknown[];
beforeEach(() => {
  lines = [];
});

/** Levels that the log has by default. */
const log: Log = {
  error: (fields, message) => void lines.push(["error", message, fields]),
  warn: (fields, message) => void lines.push(["warn", message, fields]),
  info: (fields, message) => void lines.push(["info", message, fields]),
  debug() {},
};
const ONE = "Refused a request without a valid token";
const MORE = "Refused more requests without a valid token in the last minute";
const OTHERS = "Refused requests of other addresses without a valid token in the last minute";
const Refusal = z.tuple([z.literal("warn"), z.string(), z.object({ refused: z.number().optional() })]);

test("names a peer once a minute, with the reason, and at its end how many more came from it", async () => {
  const clock = new ManualClock(Date.now());
  await using server = await openServer({ clock, log });
  for (const method of ["GET", "POST", "GET"]) await server.call(method, "/v1/jobs", { token: null });
  await server.call("GET", "/api/models", { token: "wrong", peer: "192.0.2.2" });
  const first = ["warn", ONE, { peer: "192.0.2.1", reason: "No token was sent" }];
  expect(lines).toEqual([first, ["warn", ONE, { peer: "192.0.2.2", reason: "Invalid token" }]]);
  await clock.advance(60_000);
  expect(lines.slice(2)).toEqual([["warn", MORE, { peer: "192.0.2.1", refused: 2 }]]);
  await server.call("POST", "/v1/jobs", { token: null });
  await clock.advance(60_000);
  expect(lines.slice(3)).toEqual([first]);
});

test("names 64 peers in a minute, however many come", async () => {
  const clock = new ManualClock(Date.now());
  await using server = await openServer({ clock, log });
  for (let index = 0; index < 100; index++)
    await server.call("POST", "/v1/jobs", { token: null, peer: `192.0.2.${index}` });
  expect(lines).toHaveLength(64);
  await server.call("GET", "/v1/jobs", { token: "wrong", peer: "192.0.2.7" });
  server.services.refusedLogins.close();
  expect(lines.slice(64)).toEqual([
    ["warn", MORE, { peer: "192.0.2.7", refused: 1 }],
    ["warn", OTHERS, { refused: 36 }],
  ]);
});

test("each refused log-in is in one line of the log, and all are in the metrics, also those that a stop cuts short", async () => {
  const clock = new ManualClock(Date.now());
  await using server = await openServer({ clock, log });
  for (let index = 0; index < 30; index++) {
    await server.call("GET", "/v1/agents", { token: "wrong", peer: `192.0.2.${index % 3}` });
    await clock.advance(5_000);
  }
  server.services.refusedLogins.close();
  const logged = lines.map((line) => Refusal.parse(line)[2].refused ?? 1);
  expect(logged.reduce((sum, refused) => sum + refused)).toBe(30);
  expect(await (await server.request("GET", "/metrics")).text()).toContain("\ngpu_courier_refused_logins_total 30\n");
});

test("no request without a valid token fills the log, whatever its path and method", async () => {
  await using server = await openServer({ clock: new ManualClock(Date.now()), log });
  for (const path of ["/v1/jobs", "/nothing", "/healthz", "/api/models/phi4"])
    for (const method of ["POST", "DELETE", "PATCH"]) await server.call(method, path, { token: null });
  expect(lines).toHaveLength(1);
  await server.call("POST", "/v1/nothing");
  expect(lines.slice(1)).toEqual([
    ["info", "Request", expect.objectContaining({ token: "platform", status: 404 })],
    ["info", "Audit", expect.objectContaining({ who: "platform", outcome: "not_found" })],
  ]);
});

test("a refused role is logged with the name of the token, and what came too fast is not", async () => {
  await using server = await openServer({ clock: new ManualClock(Date.now()), log });
  const token = server.viewer;
  for (let index = 0; index < 60; index++) await server.call("POST", "/v1/jobs", { token });
  expect(lines).toHaveLength(100);
  expect(lines.slice(0, 2)).toEqual([
    ["info", "Request", expect.objectContaining({ token: "dashboard", status: 403 })],
    ["info", "Audit", expect.objectContaining({ who: "dashboard", outcome: "forbidden" })],
  ]);
});

test("the peer is the address that the request came from", async () => {
  await using server = await openServer({ clock: new ManualClock(Date.now()), log });
  const listener = listen({ host: "127.0.0.1", port: 0 }, createApi(server.services).fetch, 1000);
  await fetch(`${listener.url}/v1/jobs`);
  expect(lines).toEqual([["warn", ONE, { peer: "127.0.0.1", reason: "No token was sent" }]]);
  await listener.close(0);
});
