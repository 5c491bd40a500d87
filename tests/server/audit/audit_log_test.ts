// The table of the audit: its bounds, its filters and who else may open it.

import type { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AUDIT_LIMITS, AuditLog } from "#src/server/audit/audit_log.ts";
import { type NewEntry, newEntry } from "#src/server/audit/new_entry.ts";
import { readAudit } from "#src/server/audit/read_audit.ts";
import { openStore } from "#src/server/store/store.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 5, 1);
const DELETE: NewEntry = {
  request: "DELETE /v1/agents/gpu-1/models/phi4",
  request_id: "0123456789ab",
  who: "platform",
  way: "token",
  peer: "192.0.2.1",
  verb: "delete_model",
  agent: "gpu-1",
  model: "phi4:latest",
  details: null,
  outcome: "ok",
  job: null,
  key: null,
};
const REFUSED: NewEntry = { ...DELETE, who: "dashboard", verb: null, model: null, outcome: "forbidden" };

let folder = "";
let database: Database;
let clock: ManualClock;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gpu-courier-audit-"));
  database = openStore(folder);
  clock = new ManualClock(START_MS);
});
afterEach(async () => {
  database.close();
  await rm(folder, { recursive: true });
});

function numbers(audit: AuditLog): number[] {
  return audit.read({}, { limit: 1_000 }).map(({ number }) => number);
}

describe("AuditLog", () => {
  test("add() keeps an entry whole, and end() adds its outcome", () => {
    const audit = new AuditLog(database, clock);
    const number = audit.add({ ...DELETE, outcome: null });
    const [begun] = audit.read({}, { limit: 10 });
    expect(begun).toEqual({ ...DELETE, outcome: null, number: 1, at: "2026-06-01T00:00:00.000Z" });
    audit.end(number, "ok", "job-1");
    expect(audit.read({}, { limit: 10 })).toEqual([{ ...DELETE, number, at: begun?.at ?? "", job: "job-1" }]);
  });

  test("askedFor() lists the agents that answered a pull with a job, the first one first", () => {
    const audit = new AuditLog(database, clock);
    const pull = { ...DELETE, verb: "pull_model", job: "job-1" };
    for (const agent of ["gpu-2", "gpu-1"]) audit.add({ ...pull, agent });
    audit.add({ ...pull, verb: "cancel_job", agent: "gpu-3" });
    expect([audit.askedFor("job-1"), audit.askedFor("job-2")]).toEqual([["gpu-2", "gpu-1"], []]);
  });

  test("drops what is older than 90 days, and remembers how much", async () => {
    const audit = new AuditLog(database, clock);
    audit.add(DELETE);
    await clock.advance(DAY_MS);
    audit.add(DELETE);
    await clock.advance(89 * DAY_MS);
    expect([numbers(audit), audit.dropped()]).toEqual([[2, 1], []]);
    await clock.advance(1);
    expect([numbers(audit), audit.dropped()]).toEqual([[2], []]);
    audit.add(DELETE);
    expect(numbers(audit)).toEqual([3, 2]);
    expect(audit.dropped()).toEqual([{ refused: false, entries: 1, until: "2026-06-01T00:00:00.000Z" }]);
    await clock.advance(100 * DAY_MS);
    audit.add(DELETE);
    expect(audit.dropped()).toEqual([{ refused: false, entries: 3, until: "2026-08-30T00:00:00.001Z" }]);
  });

  test("drops the oldest beyond its number", async () => {
    const audit = new AuditLog(database, clock, { ...AUDIT_LIMITS, changes: 3, cleanedEvery: 1 });
    for (let index = 0; index < 10; index++) {
      audit.add(DELETE);
      await clock.advance(1_000);
    }
    expect(numbers(audit)).toEqual([10, 9, 8]);
    expect(audit.dropped()).toEqual([{ refused: false, entries: 7, until: "2026-06-01T00:00:06.000Z" }]);
  });

  test("a flood of refused requests drops no change", () => {
    const audit = new AuditLog(database, clock, { ...AUDIT_LIMITS, changes: 3, refused: 2, cleanedEvery: 1 });
    audit.add(DELETE);
    for (let index = 0; index < 100; index++) audit.add(REFUSED);
    audit.add({ ...DELETE, outcome: "unavailable" });
    expect(numbers(audit)).toEqual([102, 101, 100, 1]);
    expect(audit.dropped()).toEqual([{ refused: true, entries: 98, until: "2026-06-01T00:00:00.000Z" }]);
  });

  test.each([
    ["changes", DELETE, false],
    ["refused requests", REFUSED, true],
  ])("a flood of one sender's %s drops its own, not those of others", (_, entry, refused) => {
    const audit = new AuditLog(database, clock, { ...AUDIT_LIMITS, changes: 10, refused: 10, cleanedEvery: 1 });
    const others = ["alice", "bob", null].map((who) => audit.add({ ...entry, who }));
    for (let index = 0; index < 100; index++) audit.add({ ...entry, who: "alice", way: "jwt" });
    const left = audit.read({}, { limit: 100 });
    expect(left).toHaveLength(10);
    expect(left.slice(-3).map(({ number }) => number)).toEqual(others.toReversed());
    expect(audit.dropped()).toMatchObject([{ refused, entries: 93 }]);
  });

  test("a flood of one account's senders drops their own, not those of others", () => {
    const audit = new AuditLog(database, clock, { ...AUDIT_LIMITS, changes: 10, cleanedEvery: 1 });
    const others = ["alice", "bob"].map((who) => audit.add({ ...DELETE, who }));
    for (let index = 0; index < 100; index++) audit.add({ ...DELETE, who: `minted-${index}` }, "0123456789abcdef");
    expect(numbers(audit)).toHaveLength(10);
    expect(numbers(audit).slice(-2)).toEqual(others.toReversed());
  });

  test("opens a table of the release before, with its index, and leaves it one that this release can write", () => {
    // Never edit these: they are what that release has.
    database.run(`CREATE TABLE audit (
      number INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, is_refused INTEGER NOT NULL,
      request TEXT, request_id TEXT, who TEXT, way TEXT, peer TEXT, verb TEXT, agent TEXT, model TEXT, details TEXT,
      outcome TEXT, job TEXT, key TEXT
    ) STRICT`);
    database.run("CREATE INDEX IF NOT EXISTS audit_sender ON audit (is_refused, way, who, number)");
    const write = "INSERT INTO audit (at_ms, is_refused, who, way) VALUES (?, 0, 'alice', 'token')";
    database.query(write).run(START_MS);
    new AuditLog(database, clock).add(DELETE, "0123456789abcdef");
    database.query(write).run(START_MS);
    expect(new AuditLog(database, clock).read({}, { limit: 10 }).map(({ who }) => who)).toEqual([
      "alice",
      "platform",
      "alice",
    ]);
  });

  test("keeps the newest where there are more senders than it keeps entries", () => {
    const audit = new AuditLog(database, clock, { ...AUDIT_LIMITS, changes: 3, cleanedEvery: 1 });
    for (let index = 0; index < 10; index++) audit.add({ ...DELETE, who: `user-${index}` });
    expect(numbers(audit)).toEqual([10, 9, 8]);
  });

  test("never holds more than 100,000, also between two cleanups", () => {
    const { changes, refused, cleanedEvery, keptMs } = AUDIT_LIMITS;
    expect([changes + refused + cleanedEvery, keptMs]).toEqual([99_900, 90 * DAY_MS]);
    const limits = { keptMs, changes: 8, refused: 1, cleanedEvery: 4 };
    const audit = new AuditLog(database, clock, limits);
    let most = 0;
    for (let index = 0; index < 50; index++) {
      audit.add(DELETE);
      most = Math.max(most, numbers(audit).length);
    }
    expect(most).toBeLessThanOrEqual(limits.changes + limits.cleanedEvery);
  });

  test.each([
    [{ who: "dashboard" }, [2]],
    [{ agent: "gpu-1" }, [4, 2, 1]],
    [{ verb: "pull_model" }, [3]],
    [{ outcome: "forbidden" }, [2]],
    [{ outcome: "ok" }, [4, 3, 1]],
    [{ sinceMs: START_MS + 1_000 }, [4, 3, 2]],
    [{ untilMs: START_MS + 2_000 }, [2, 1]],
    [{ sinceMs: START_MS + 1_000, untilMs: START_MS + 3_000, agent: "gpu-1" }, [2]],
    [{ who: "nobody" }, []],
  ])("read(%o) finds %p", async (filter, expected) => {
    const audit = new AuditLog(database, clock);
    for (const entry of [DELETE, REFUSED, { ...DELETE, verb: "pull_model", agent: "gpu-2" }, DELETE]) {
      audit.add(entry);
      await clock.advance(1_000);
    }
    expect(audit.read(filter, { limit: 10 }).map(({ number }) => number)).toEqual(expected);
  });

  test("pages neither skip nor repeat an entry while others are added", () => {
    const audit = new AuditLog(database, clock);
    for (let index = 0; index < 25; index++) audit.add(DELETE);
    const seen: number[] = [];
    let next: string | undefined;
    do {
      const before = next === undefined ? undefined : Number(next);
      const page = readAudit(audit, {}, { limit: 10, before });
      seen.push(...page.entries.map(({ number }) => number));
      next = page.next;
      audit.add(REFUSED);
    } while (next !== undefined);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => 25 - index));
  });

  test("a second process sees each entry at once, and its own go beside them", () => {
    const other = openStore(folder);
    try {
      const [audit, second] = [new AuditLog(database, clock), new AuditLog(other, clock)];
      audit.add(DELETE);
      second.add(REFUSED);
      audit.add(DELETE);
      expect([numbers(audit), numbers(second)]).toEqual([
        [3, 2, 1],
        [3, 2, 1],
      ]);
    } finally {
      other.close();
    }
  });

  test("leaves the schema's version, by which the previous release refuses a newer store", () => {
    const version = () => database.query("PRAGMA user_version").get();
    const before = version();
    new AuditLog(database, clock).add(DELETE);
    expect([before, version()]).toEqual([{ user_version: 2 }, { user_version: 2 }]);
  });

  test("leaves the commits of other tables durable", () => {
    const audit = new AuditLog(database, clock);
    audit.add(DELETE);
    database.run("DROP TABLE audit");
    expect(() => audit.add(DELETE)).toThrow();
    expect(database.query("PRAGMA synchronous").get()).toEqual({ synchronous: 2 });
  });
});

describe("newEntry()", () => {
  test("cuts every text that a caller chooses to 200 characters, and what is changed to 1,100", () => {
    const long = "x".repeat(100_000);
    const cut = newEntry({ ...DELETE, request: long, who: long, peer: long, agent: long, model: long, details: long });
    const { request, who, peer, agent, model, details } = cut;
    const texts = [request, who, peer, agent];
    expect(texts).toEqual(texts.map(() => `${"x".repeat(199)}…`));
    expect([model, details]).toEqual([`${"x".repeat(1_099)}…`, `${"x".repeat(1_099)}…`]);
    expect(newEntry({ ...DELETE, model: "y".repeat(1_100) }).model).toBe("y".repeat(1_100));
    expect(newEntry({ ...DELETE, model: `${"y".repeat(1_098)}😀😀` }).model?.isWellFormed()).toBe(true);
  });
});
