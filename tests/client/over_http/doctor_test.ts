// The doctor through gpu-server, whose checks take longer than other requests.
import { expect, test } from "bun:test";
import type { Check } from "#src/base/check.ts";
import { parseServer } from "#src/client/over_http/address.ts";
import { examineServer } from "#src/client/over_http/doctor.ts";
import { ServerHttp } from "#src/client/over_http/http.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { AnsweringServer } from "./answering.ts";

const CHECK = { check: "ping", subject: "gpu-1", result: "failed", message: "No answer within 10 s", hint: null };

/** Asks a server that answers once `elapsedMs` have passed, with `--timeout 5`. */
async function examinedAfter(elapsedMs: number): Promise<Check[]> {
  const clock = new ManualClock();
  const [asked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using server = await AnsweringServer.open(async () => {
    asked.resolve();
    await release.promise;
    return Response.json({ result: "failed", checks: [CHECK] });
  });
  const { signal } = new AbortController();
  const common = { token: "gc_secret", ca: undefined, userAgent: "gpuctl/test", timeoutMs: 5_000, signal };
  const http = new ServerHttp({ ...common, address: parseServer(server.url, false), clock, waits: null });
  const examined = Array.fromAsync(examineServer(http, async () => [], undefined, signal));
  await asked.promise;
  await clock.advance(elapsedMs);
  release.resolve();
  return await examined;
}

test("doctor waits for a report that takes longer than --timeout", async () => {
  expect(await examinedAfter(20_000)).toEqual([expect.objectContaining({ check: "server", result: "ok" }), CHECK]);
});

test("doctor gives up on a server that never answers", async () => {
  const [check] = await examinedAfter(60_000);
  expect([check?.check, check?.result, check?.message]).toEqual([
    "server",
    "failed",
    expect.stringContaining("did not answer within 30 s"),
  ]);
});
