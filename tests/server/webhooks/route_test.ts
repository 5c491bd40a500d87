// GET /v1/webhooks/deliveries and `gpu-server webhooks list|deliveries`: who may read it, its pages and its filters.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { newPull } from "#src/protocol.ts";
import { openStore } from "#src/server/store/store.ts";
import { showDeliveries, showWebhooks } from "#src/server/webhooks/command.ts";
import { DeliveriesDocument } from "#src/server/webhooks/documents.ts";
import { jobEnded } from "#src/server/webhooks/events.ts";
import { Outbox } from "#src/server/webhooks/queue/outbox.ts";
import { WebhookQueue } from "#src/server/webhooks/queue/queue.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { targetAt } from "./site.ts";

/** Three events for a.test: delivered, refused once, and not sent. */
function fill(database: ReturnType<typeof openStore>): void {
  const nowMs = systemClock.now();
  const [queue, outbox] = [new WebhookQueue(database), new Outbox(database, () => 0)];
  queue.configure([targetAt("a.test")], 0, nowMs);
  const job = (id: string) => ({ ...newPull(id, "gpu-1", "phi4:latest"), state: "succeeded" as const });
  queue.addEnds(
    ["a", "b", "c"].map((id, index) => ({ number: index + 1, ...jobEnded(job(id), nowMs) })),
    nowMs,
  );
  const [first, second] = [outbox.claim("a.test", nowMs), outbox.claim("a.test", nowMs)];
  outbox.delivered("a.test", first?.number ?? 0, 204, nowMs);
  const failure = { status: 500, error: "a.test answers 500, where 2xx is expected", beganMs: nowMs, retryAfterMs: 0 };
  outbox.failed("a.test", second?.number ?? 0, failure, nowMs);
}

test("shows targets and deliveries to a gp without limits only, in pages and filtered", async () => {
  await using server = await openServer();
  fill(server.database);
  const path = "/v1/webhooks/deliveries";
  const statuses = [server.gp, server.viewer, null].map(
    async (token) => (await server.call("GET", path, { token })).status,
  );
  expect(await Promise.all(statuses)).toEqual([200, 403, 401]);
  const first = await server.call("GET", `${path}?limit=2`);
  const document = DeliveriesDocument.parse(first.body);
  expect(first.headers.get("link")).toBe(`<?limit=2&after=${document.next}>; rel="next"`);
  expect(document.targets).toMatchObject([
    { target: "a.test", address: "https://a.test", pending: 2, delivered: 1, failed: 0, dropped: 0, failures: 1 },
  ]);
  expect(document.deliveries).toMatchObject([
    { type: "job.ended", subject: "gpu-1/c", state: "pending", attempts: 0, last_status: null, error: null },
    { subject: "gpu-1/b", state: "pending", attempts: 1, last_status: 500, error: expect.stringContaining("500") },
  ]);
  const rest = (await server.call("GET", `${path}?limit=2&after=${document.next}`)).body;
  expect([rest.next, rest.deliveries]).toMatchObject([undefined, [{ state: "delivered", next_attempt_at: null }]]);
  const counts = ["state=delivered", "state=dropped", "target=a.test", "target=b.test", "type=job.ended", "type=x"].map(
    async (query) => (await server.call("GET", `${path}?${query}`)).body.deliveries.length,
  );
  expect(await Promise.all(counts)).toEqual([1, 0, 3, 0, 3, 0]);
  expect((await server.call("GET", `${path}?state=lost`)).status).toBe(400);
});

test("GET /metrics counts what waits and what became of the rest, also for a viewer, without the address", async () => {
  await using server = await openServer();
  fill(server.database);
  const text = await (await server.request("GET", "/metrics", { token: server.viewer })).text();
  const lines = text.split("\n").filter((line) => line.startsWith("gpu_courier_webhook_"));
  expect(lines).toEqual([
    'gpu_courier_webhook_pending{target="a.test"} 2',
    'gpu_courier_webhook_events_total{target="a.test",result="delivered"} 1',
    'gpu_courier_webhook_events_total{target="a.test",result="failed"} 0',
    'gpu_courier_webhook_events_total{target="a.test",result="dropped"} 0',
  ]);
  expect(text).not.toContain("https://a.test");
});

test("list and deliveries print the same on the server's machine, as text and as JSON", () => {
  const dir = mkdtempSync(join(tmpdir(), "gpu-courier-webhooks-"));
  const printed: string[] = [];
  const print = (text: string): void => void printed.push(text);
  showWebhooks(dir, { json: false }, print);
  showDeliveries(dir, { limit: 9, json: false }, print);
  const database = openStore(dir);
  fill(database);
  database.close();
  showWebhooks(dir, { json: false }, print);
  showDeliveries(dir, { limit: 2, json: false }, print);
  showDeliveries(dir, { limit: 2, json: true }, print);
  rmSync(dir, { recursive: true });
  expect(printed[0]).toContain("No webhooks");
  expect(printed[1]).toBe("No deliveries\n");
  expect(printed[2]).toMatch(
    /^https:\/\/a\.test {2}a\.test\n {4}2 pending, 1 delivered, 0 failed, 0 dropped; attempts without success: 1, the next at .*Z\n$/,
  );
  expect(printed[3]?.split("\n")).toEqual([
    expect.stringMatching(/Z {2}pending {2}job\.ended gpu-1\/c$/),
    expect.stringMatching(/^ {4}to https:\/\/a\.test, 0 attempts, next at /),
    expect.stringMatching(/Z {2}pending {2}job\.ended gpu-1\/b$/),
    expect.stringMatching(/^ {4}to https:\/\/a\.test, 1 attempt, a\.test answers 500, where 2xx is expected, next at /),
    "There are older deliveries: use a higher --limit",
    "",
  ]);
  expect(DeliveriesDocument.parse(JSON.parse(printed[4] ?? "")).deliveries).toHaveLength(2);
});
