// src/server/audit/audit_copy.ts: entries that wait for numbers of the audit of all servers, and those that have one.
import type { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { AuditCopy, type NumberedEntry, SharedEntry } from "#src/server/audit/audit_copy.ts";
import { AUDIT_LIMITS, AuditLog } from "#src/server/audit/audit_log.ts";
import { newEntry } from "#src/server/audit/new_entry.ts";
import { readAudit } from "#src/server/audit/read_audit.ts";
import { openStore } from "#src/server/store/store.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { memoryDir } from "#tests/support/memory_dir.ts";

const SENDER = { request: "POST /v1/jobs", request_id: "0123", who: "platform", way: "token", peer: "192.0.2.1" };
const WHAT = { verb: "pull_model", agent: "gpu-1", details: null, job: null, key: null };

let folder: string;
let database: Database;
let clock: ManualClock;
let audit: AuditLog;
let copy: AuditCopy;
beforeEach(() => {
  folder = memoryDir("gpu-courier-audit-copy-");
  database = openStore(folder);
  clock = new ManualClock(Date.UTC(2026, 5, 1));
  audit = new AuditLog(database, clock);
  copy = new AuditCopy(database);
  copy.become("log-1", 0);
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true, force: true });
});

function entry(model: string, outcome: string | null = "ok", who = "platform") {
  return newEntry({ ...SENDER, ...WHAT, who, model, outcome });
}

/** One that another server has made. */
function theirs(number: number, model: string, who = "platform"): NumberedEntry {
  const fields = { ...entry(model, "ok", who), at_ms: clock.now(), is_refused: 0, account: null };
  return { number, id: `their-${model}`, entry: SharedEntry.parse(fields) };
}

/** Gives these numbers to all that wait. */
function placeWaiting(first: number): void {
  const waiting = copy.waiting(100, 0);
  const entries = waiting.map(({ id, text }, index) => ({
    number: first + index,
    id,
    entry: SharedEntry.parse(JSON.parse(text)),
  }));
  copy.place(entries, first + waiting.length - 1);
}

function shown(page: { readonly limit: number; readonly before?: number } = { limit: 100 }): string[] {
  return audit.read({}, page).map(({ number, model }) => `${number} ${model}`);
}

test("an entry that waits is shown as the newest, and gets its number when it comes back", () => {
  audit.add(entry("a"));
  copy.place([theirs(1, "x")], 1);
  audit.add(entry("b"));
  expect(shown()).toEqual(["3 b", "2 a", "1 x"]);
  expect(copy.waiting(100, 0).map(({ text }) => JSON.parse(text).model)).toEqual(["a", "b"]);
  placeWaiting(2);
  copy.place([theirs(4, "y")], 4);
  expect(shown()).toEqual(["4 y", "3 b", "2 a", "1 x"]);
  expect([copy.waiting(100, 0), copy.position]).toEqual([[], { log: "log-1", last: 4 }]);
});

test("a page of entries that wait is followed by the rest, each once", () => {
  copy.place([theirs(1, "x"), theirs(2, "y")], 2);
  for (const model of ["a", "b", "c"]) audit.add(entry(model));
  const found: string[] = [];
  for (let before: number | undefined; ; ) {
    const page = readAudit(audit, {}, before === undefined ? { limit: 2 } : { limit: 2, before });
    found.push(...page.entries.map(({ model }) => String(model)));
    if (page.next === undefined) break;
    before = Number(page.next);
  }
  expect(found).toEqual(["c", "b", "a", "y", "x"]);
});

test("an entry waits for its outcome, but not forever", async () => {
  const number = audit.add(entry("a", null));
  audit.add(entry("b"));
  const beganMs = clock.now();
  expect(copy.waiting(100, beganMs)).toHaveLength(1);
  placeWaiting(1);
  audit.end(number, "unavailable", null);
  expect(copy.waiting(100, beganMs).map(({ text }) => JSON.parse(text))).toMatchObject([
    { model: "a", outcome: "unavailable" },
  ]);
  audit.add(entry("c", null));
  expect(copy.waiting(100, beganMs + 1)).toHaveLength(2);
});

test("what is placed again changes nothing", () => {
  audit.add(entry("a"));
  const [waiting] = copy.waiting(1, 0);
  const own = { number: 1, id: waiting?.id ?? "", entry: SharedEntry.parse(JSON.parse(waiting?.text ?? "")) };
  for (let time = 0; time < 2; time++) copy.place([own, theirs(2, "x")], 2);
  expect(shown()).toEqual(["2 x", "1 a"]);
});

test("become() of another log lets all entries wait, in their order, with the same ids", () => {
  audit.add(entry("a"));
  placeWaiting(1);
  copy.place([theirs(2, "x")], 2);
  audit.add(entry("b"));
  copy.become("log-2", 0);
  const waiting = copy.waiting(100, 0);
  expect(waiting.map(({ text }) => JSON.parse(text).model)).toEqual(["a", "x", "b"]);
  expect(waiting[1]?.id).toBe("their-x");
  expect(copy.position).toEqual({ log: "log-2", last: 0 });
  audit.add(entry("c"));
  copy.become("log-3", 0);
  expect(shown()).toEqual(["4 c", "3 b", "2 x", "1 a"]);
});

test("become() of a log that has lost its end lets only those entries wait", () => {
  copy.place([theirs(1, "x"), theirs(2, "y"), theirs(3, "z")], 3);
  copy.become("log-1", 1);
  expect(copy.waiting(100, 0).map(({ id }) => id)).toEqual(["their-y", "their-z"]);
  expect(copy.position.last).toBe(1);
  copy.become("log-1", 5);
  expect(copy.position.last).toBe(1);
});

test("entries from before there were other servers wait for numbers", () => {
  const [dir, old] = [memoryDir("gpu-courier-audit-copy-"), "old"];
  const alone = openStore(dir);
  new AuditLog(alone, clock).add(entry(old));
  const later = new AuditCopy(alone);
  later.become("log-1", 7);
  expect(later.waiting(100, 0).map(({ text }) => JSON.parse(text).model)).toEqual([old]);
  alone.close();
  rmSync(dir, { recursive: true, force: true });
});

test("skip() counts what the log no longer has", () => {
  copy.skip(41, { entries: 40, until: clock.now() });
  expect(audit.dropped()).toEqual([{ refused: false, entries: 40, until: "2026-06-01T00:00:00.000Z" }]);
  expect(copy.position.last).toBe(40);
});

test("entries of other servers keep the bounds: the sender with the most entries loses its oldest", () => {
  const bounded = new AuditLog(database, clock, { ...AUDIT_LIMITS, changes: 6, cleanedEvery: 1 });
  copy.place(
    Array.from({ length: 20 }, (_, index) => theirs(index + 1, `m${index}`, index < 3 ? "quiet" : "loud")),
    20,
  );
  bounded.tidy(20);
  expect(bounded.read({}, { limit: 100 }).map(({ who }) => who)).toEqual([
    ...Array<string>(3).fill("loud"),
    ...Array<string>(3).fill("quiet"),
  ]);
});
