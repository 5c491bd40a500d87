// src/server/http/self_check.ts: what the self check reports to the service manager, over real sockets.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { noServiceManager } from "#src/program/service_manager.ts";
import type { Login } from "#src/server/access/authenticator.ts";
import { checkItself } from "#src/server/http/self_check.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { until } from "#tests/support/until.ts";

let server: Bun.Server<undefined>;
let answer: () => Response | Promise<Response>;
let reason: string | null;
let login: Pick<Login, "check"> | null;
let webhooks: { trouble: string | null };
let requests: string[];
let reported: string[];
let clock: ManualClock;
let stop: AbortController;
let ended: Promise<void>;

beforeEach(() => {
  reason = null;
  login = null;
  webhooks = { trouble: null };
  requests = [];
  reported = [];
  clock = new ManualClock();
  stop = new AbortController();
  const fetch = ({ url }: Request): Response | Promise<Response> => {
    requests.push(new URL(url).pathname);
    return answer();
  };
  server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
});
afterEach(async () => {
  stop.abort();
  await ended;
  await server.stop(true);
});

function check(): void {
  const url = server.url.origin;
  const status = (text: string): void => void reported.push(text.replace(url, "URL"));
  const service = { ...noServiceManager, status, alive: () => void reported.push("alive") };
  const transport = { description: "nfs4 at /mnt/shared" };
  ended = checkItself(
    { url, readiness: { reason: async () => reason }, login, webhooks, transport, service, clock, log: silentLog },
    stop.signal,
  );
}

test("checkItself() feeds the watchdog at each response, also when the share cannot be read", async () => {
  answer = () => Response.json({ status: "ready" });
  check();
  await until(() => reported.length === 2);
  expect(reported.splice(0)).toEqual(["URL on nfs4 at /mnt/shared", "alive"]);
  answer = () => Response.json({ detail: "The share cannot be read", code: "unavailable" }, { status: 503 });
  reason = "share stalled for 9 s";
  await passes(clock, 1_000, () => reported.length >= 2);
  expect(reported.slice(0, 2)).toEqual(["waiting for the share: share stalled for 9 s", "alive"]);
  expect(new Set(requests)).toEqual(new Set(["/readyz"]));
});

test("checkItself() feeds nothing without a response, and still stops at the signal", async () => {
  answer = async () => await new Promise<never>(() => {});
  check();
  await until(() => requests.length === 1);
  await clock.advance(120_000);
  expect({ reported, requests }).toEqual({ reported: [], requests: ["/readyz"] });
  stop.abort();
  await ended;
});

test("checkItself() looks at the platform's login once a minute, and stays alive without it", async () => {
  let checks = 0;
  let failure: CourierError | null = new CourierError(
    "unavailable",
    "platform.example cannot be reached: ECONNREFUSED",
  );
  login = {
    check: async () => {
      checks += 1;
      if (failure !== null) throw failure;
    },
  };
  answer = () => Response.json({ status: "ready" });
  check();
  await until(() => reported.length === 2);
  const status = "URL on nfs4 at /mnt/shared";
  const note = "the platform's login does not work: platform.example cannot be reached: ECONNREFUSED";
  await passes(clock, 1_000, () => reported.includes(`${status}, ${note}`));
  expect([reported.splice(0), checks]).toEqual([[status, "alive", `${status}, ${note}`, "alive"], 1]);
  failure = null;
  await passes(clock, 1_000, () => reported.includes(status));
  expect(checks).toBe(2);
  expect(clock.monotonic()).toBeWithin(60_000, 75_000);
});

test("checkItself() shows why webhooks are not delivered", async () => {
  webhooks = { trouble: "hooks.example cannot be reached: ECONNREFUSED" };
  answer = () => Response.json({ status: "ready" });
  check();
  await until(() => reported.length === 2);
  const note = "webhooks are not delivered: hooks.example cannot be reached: ECONNREFUSED";
  expect(reported[0]).toBe(`URL on nfs4 at /mnt/shared, ${note}`);
});
