// What a ticket opens, for whom, and until when.
import { describe, expect, test } from "bun:test";
import type { Log } from "#src/base/log.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { EventListener } from "#tests/support/event_listener.ts";
import { EventSite, ended, job } from "#tests/support/sites/event_site.ts";
import { ScriptedAgent } from "#tests/support/sites/scripted_agent.ts";
import { type Call, openServer, type ServerUnderTest } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

async function ticketOf(server: ServerUnderTest, call: Call = {}): Promise<string> {
  const { status, body } = await server.call("POST", "/v1/tickets", call);
  expect(status).toBe(201);
  return body.ticket;
}

async function withSite(clock: ManualClock, use: (site: EventSite) => Promise<void>): Promise<void> {
  const site = await EventSite.open({ clock, store: new MemoryStore(clock) }, 600_000);
  try {
    await use(site);
  } finally {
    await site.close();
  }
}

async function opened(site: EventSite, path: string): Promise<EventListener> {
  const events = new EventListener();
  await events.connect(`${site.url}${path}`, null);
  return events;
}

describe("POST /v1/tickets", () => {
  test("gives any token a ticket, with its end", async () => {
    const clock = new ManualClock(Date.parse("2026-11-29T12:00:00Z"));
    await using server = await openServer({ clock });
    for (const token of [server.gp, server.viewer]) {
      const { status, headers, body } = await server.call("POST", "/v1/tickets", { token });
      expect([status, headers.get("cache-control")]).toEqual([201, "no-store"]);
      expect(body).toEqual({
        ticket: expect.stringMatching(/^gpuc_ticket_/),
        expires_at: "2026-11-29T12:10:00.000Z",
      });
    }
    expect((await server.call("POST", "/v1/tickets", { token: null })).status).toBe(401);
  });

  test("is not in the audit: a viewer could push out everything else", async () => {
    await using server = await openServer();
    await ticketOf(server, { token: server.viewer });
    expect(server.services.audit.read({}, { limit: 10 })).toEqual([]);
  });
});

describe("a ticket", () => {
  test("opens event streams, again and again, and nothing else", async () => {
    await using server = await openServer();
    const agent = await ScriptedAgent.open(server.store, "gpu-1");
    agent.jobs = [job(1, { state: "running" })];
    await agent.publish();
    const ticket = await ticketOf(server);
    for (const path of ["/v1/events", "/v1/jobs/job-1/events", "/v1/events"]) {
      const response = await server.request("GET", `${path}?ticket=${ticket}`, { token: null });
      expect([path, response.status]).toEqual([path, 200]);
      await response.body?.cancel();
    }
    for (const [method, path] of [
      ["GET", "/v1/agents"],
      ["GET", "/v1/jobs/job-1"],
      ["GET", "/v1/audit"],
      ["POST", "/v1/events"],
      ["POST", "/v1/jobs/job-1/cancel"],
      ["POST", "/v1/tickets"],
      ["GET", "/api/models"],
      ["GET", "/v1/agents/events"],
    ]) {
      const { status } = await server.call(method ?? "", `${path}?ticket=${ticket}`, { token: null });
      expect([path, status]).toEqual([path, 401]);
    }
    expect((await server.call("GET", "/v1/events", { token: ticket })).status).toBe(401);
  });

  test("shows what its token shows", async () => {
    await using server = await openServer();
    const hidden = await ScriptedAgent.open(server.store, "gpu-2");
    hidden.jobs = [job(2, { agent: "gpu-2", state: "running" })];
    await hidden.publish();
    const limits = { expiresAtMs: null, agents: ["gpu-1"], verbs: null };
    const scoped = await ticketOf(server, { token: server.tokens.add("scoped", "gp", limits) });
    expect((await server.call("GET", `/v1/jobs/job-2/events?ticket=${scoped}`, { token: null })).status).toBe(404);
    const whole = await server.request("GET", `/v1/jobs/job-2/events?ticket=${await ticketOf(server)}`, {
      token: null,
    });
    expect(whole.status).toBe(200);
    await whole.body?.cancel();
    const verbs = server.tokens.add("puller", "gp", { expiresAtMs: null, agents: null, verbs: ["pull_model"] });
    expect((await server.call("POST", "/v1/tickets", { token: verbs })).status).toBe(403);
  });

  test("ends with its token", async () => {
    const clock = new ManualClock();
    await using server = await openServer({ clock });
    const limits = { expiresAtMs: clock.now() + 60_000, agents: null, verbs: null };
    const revoked = await ticketOf(server, { token: server.tokens.add("revoked", "viewer") });
    const expired = await ticketOf(server, { token: server.tokens.add("expired", "viewer", limits) });
    server.tokens.revoke("revoked");
    await clock.advance(60_000);
    for (const [ticket, detail] of [
      [revoked, "Invalid token"],
      [expired, 'Token "expired" expired'],
    ] as const) {
      const { status, body } = await server.call("GET", `/v1/events?ticket=${ticket}`, { token: null });
      expect([status, body.detail]).toEqual([401, expect.stringContaining(detail)]);
    }
  });

  test("that is wrong is refused and logged as a wrong token is, and never shown", async () => {
    const lines: string[] = [];
    const add = (fields: object, message: string): void => void lines.push(`${JSON.stringify(fields)} ${message}`);
    const log: Log = { error: add, warn: add, info: add, debug: add };
    await using server = await openServer({ log });
    const [ticket, wrong] = [await ticketOf(server), `gpuc_ticket_${"w".repeat(43)}`];
    const { status, headers, body } = await server.call("GET", `/v1/events?ticket=${wrong}`, { token: null });
    expect([status, body.code, headers.has("www-authenticate")]).toEqual([401, "unauthenticated", true]);
    expect(body.hint).toContain("POST /v1/tickets");
    expect(lines).toContainEqual(expect.stringContaining("The ticket is invalid or has expired"));
    const right = await server.request("GET", `/v1/events?ticket=${ticket}`, { token: null });
    await right.body?.cancel();
    await server.call("GET", `/v1/nothing?ticket=${ticket}`, { token: null });
    expect(lines.length).toBeGreaterThan(3);
    for (const text of [...lines, JSON.stringify(body)]) {
      expect(text).not.toContain(ticket);
      expect(text).not.toContain(wrong);
    }
  });
});

describe("a stream that a ticket opened", () => {
  test("is continued with another ticket and the id of its last event", async () => {
    const site = await EventSite.open();
    const events = await opened(site, `/v1/events?ticket=${await ticketOf(site.server)}`);
    await until(() => events.events.length > 0);
    await site.publish(ended(1));
    await until(() => events.ends.length === 1);
    await events.cut();
    await site.publish(ended(1), ended(2));
    const id = events.lastId ?? "";
    const next = await opened(site, `/v1/events?ticket=${await ticketOf(site.server)}&lastEventId=${id}`);
    await until(() => next.ends.length === 1);
    expect([next.events[0]?.data.resumed, next.ends]).toEqual([true, ["job-2"]]);
    await next.cut();
    await site.close();
  });

  test("goes on when the ticket ends; a reconnect is a 401 with what to do", async () => {
    const clock = new ManualClock();
    await withSite(clock, async (site) => {
      const path = `/v1/events?ticket=${await ticketOf(site.server)}`;
      const events = await opened(site, path);
      await until(() => events.events.length > 0);
      await passes(clock, 30_000, () => clock.monotonic() > 660_000);
      await site.publish(job(1, { state: "running" }));
      await passes(clock, 500, () => events.events.some(({ event }) => event === "progress"));
      expect((await opened(site, path)).status).toBe(401);
    });
  });

  test("ends within 5 s when its token is revoked", async () => {
    const clock = new ManualClock();
    await withSite(clock, async (site) => {
      const token = site.server.tokens.add("page", "viewer");
      const events = await opened(site, `/v1/events?ticket=${await ticketOf(site.server, { token })}`);
      await until(() => events.events.length > 0);
      const startedMs = clock.monotonic();
      site.server.tokens.revoke("page");
      await passes(clock, 500, () => site.server.services.listeners.total === 0);
      await events.ended();
      expect(clock.monotonic() - startedMs).toBeWithin(4_500, 6_001);
    });
  });
});
