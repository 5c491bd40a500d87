// `gpu-server audit`: its text of 80 columns, its period, and a server that writes meanwhile.
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { AuditDocument, type AuditEntry } from "#src/documents/audit.ts";
import { userName } from "#src/program/user_name.ts";
import { AuditLog } from "#src/server/audit/audit_log.ts";
import { auditText } from "#src/server/audit/audit_text.ts";
import type { NewEntry } from "#src/server/audit/new_entry.ts";
import { sinceMsOf } from "#src/server/audit/since.ts";
import { openStore } from "#src/server/store/store.ts";

const SERVER = join(import.meta.dir, "../../../src/server.ts");
const NEW: NewEntry = {
  request: "POST /v1/jobs",
  request_id: "0123456789ab",
  who: "platform",
  way: "token",
  peer: "192.0.2.1",
  verb: "pull_model",
  agent: "gpu-1",
  model: "phi4:latest",
  details: null,
  outcome: "ok",
  job: "01980000-0000-7000-8000-000000000000",
  key: "0011223344556677",
};
const ENTRY: AuditEntry = { ...NEW, number: 1, at: "2026-06-01T08:09:10.123Z" };

async function runAudit(stateDir: string, ...argv: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, SERVER, "audit", "--state-dir", stateDir, ...argv], {
    stdout: "pipe",
    stderr: "pipe",
    env: {},
  });
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return status === 0 ? stdout : `${status}: ${stderr}`;
}

describe("auditText()", () => {
  test("has a line with what was done, and one with its sender", () => {
    const refused = { ...ENTRY, verb: null, model: null, job: null, key: null, outcome: "forbidden" };
    const trusted = { ...ENTRY, way: "trusted", who: "trusted", job: null, key: null, outcome: null };
    const own = { ...ENTRY, request: null, who: null, way: null, peer: null, job: null, key: null };
    expect(auditText({ entries: [ENTRY, refused, trusted, own], next: "1" }).split("\n")).toEqual([
      "2026-06-01 08:09:10Z  ok  pull_model phi4:latest on gpu-1 job",
      "    01980000-0000-7000-8000-000000000000",
      "    by platform (token), from 192.0.2.1, POST /v1/jobs, key 0011223344556677",
      "2026-06-01 08:09:10Z  forbidden  POST /v1/jobs on gpu-1",
      "    by platform (token), from 192.0.2.1",
      "2026-06-01 08:09:10Z  unknown  pull_model phi4:latest on gpu-1",
      "    by anyone, without a token, from 192.0.2.1, POST /v1/jobs",
      "2026-06-01 08:09:10Z  ok  pull_model phi4:latest on gpu-1",
      "    by gpu-server itself",
      "There are older entries: use a higher --limit",
      "",
    ]);
  });

  test("never exceeds 80 columns, and prints nothing raw", () => {
    const long = `${"x".repeat(150)}\u001b[31m\n${"y z ".repeat(10)}`;
    const text = auditText({ entries: [{ ...ENTRY, model: long, details: long, who: long, request: long }] });
    expect(text).toContain("x".repeat(76));
    expect(text.split("\n").filter((line) => line.length > 80 || line.includes("\u001b"))).toEqual([]);
  });

  test("shows how much is no longer kept, and that nothing is", () => {
    const until = "2026-06-01T08:09:10.123Z";
    const dropped = [false, true].map((refused) => ({ refused, entries: 12, until }));
    expect(auditText({ entries: [], dropped })).toBe(
      "12 older entries are no longer kept, up to 2026-06-01 08:09:10Z\n" +
        "12 older refused requests are no longer kept, up to 2026-06-01 08:09:10Z\n",
    );
    expect(auditText({ entries: [] })).toBe("No entries\n");
  });
});

describe("sinceMsOf()", () => {
  const nowMs = Date.UTC(2026, 5, 3);
  test.each([
    ["2d", Date.UTC(2026, 5, 1)],
    ["36h", Date.UTC(2026, 5, 1, 12)],
    ["90m", nowMs - 5_400_000],
    ["2026-06-01", Date.UTC(2026, 5, 1)],
    ["2026-06-01T08:00Z", Date.UTC(2026, 5, 1, 8)],
    ["2026-06-01T08:00:01+02:00", Date.UTC(2026, 5, 1, 6, 0, 1)],
    ["2", undefined],
    ["yesterday", undefined],
    ["2026-13-01", undefined],
    ["2026-06-01T08:00", undefined],
  ])("reads %p", (text, expected) => {
    expect(sinceMsOf(text, nowMs)).toBe(expected);
  });
});

test("reads while a server writes, which neither waits nor misses an entry", async () => {
  const folder = await mkdtemp(join(tmpdir(), "gpu-courier-audit-"));
  const database = openStore(folder);
  try {
    const audit = new AuditLog(database, systemClock);
    const reading = Promise.all(["--json", "--limit=5"].map(async (option) => await runAudit(folder, option)));
    const ended = new AbortController();
    void reading.finally(() => ended.abort());
    let written = 0;
    let longestMs = 0;
    for (; !ended.signal.aborted; written++) {
      const startedMs = performance.now();
      audit.add(NEW);
      longestMs = Math.max(longestMs, performance.now() - startedMs);
      await Bun.sleep(1);
    }
    expect(longestMs).toBeLessThan(1_000);
    const [json = "", text = ""] = await reading;
    expect(AuditDocument.parse(JSON.parse(json)).entries.length).toBeGreaterThan(0);
    expect(text).toContain("pull_model phi4:latest on gpu-1");
    const all = AuditDocument.parse(
      JSON.parse(await runAudit(folder, "--json", "--since", "1h", `--limit=${written}`)),
    );
    expect(all.entries.map((each) => each.number)).toEqual(
      Array.from({ length: written }, (_, index) => written - index),
    );
    expect(await runAudit(folder, "--since", "soon")).toStartWith("64: ");
  } finally {
    database.close();
    await rm(folder, { recursive: true });
  }
});

test("has the changes of commands on this machine, with the user, and none that failed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "gpu-courier-audit-"));
  try {
    const run = async (...argv: string[]) => {
      const child = Bun.spawn([process.execPath, SERVER, ...argv, "--state-dir", folder], {
        stdout: "ignore",
        env: {},
      });
      return await child.exited;
    };
    expect(await run("token", "add", "puller", "--role", "gp", "--verbs", "pull_model")).toBe(0);
    expect(await run("token", "add", "puller", "--role", "gp")).not.toBe(0);
    expect(await run("trust", "gpu-1", "--unsigned")).toBe(0);
    expect(await run("token", "revoke", "puller")).toBe(0);
    const { entries } = AuditDocument.parse(JSON.parse(await runAudit(folder, "--json")));
    const common = { who: userName(), way: "local", verb: null, outcome: "ok" };
    expect(entries.toReversed()).toMatchObject([
      {
        ...common,
        request: "gpu-server token add",
        details: '{"name":"puller","role":"gp","expires_at":null,"verbs":["pull_model"],"agents":null}',
      },
      { ...common, request: "gpu-server trust", agent: "gpu-1", details: '{"key_id":null,"key_status":"unsigned"}' },
      { ...common, request: "gpu-server token revoke", details: '{"name":"puller"}' },
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("prints all of a long list to a slow reader", async () => {
  const folder = await mkdtemp(join(tmpdir(), "gpu-courier-audit-"));
  try {
    const database = openStore(folder);
    const audit = new AuditLog(database, systemClock);
    for (let entry = 0; entry < 2_000; entry++) audit.add(NEW);
    database.close();
    const command = '"$@" | (sleep 1; cat)';
    const argv = [process.execPath, SERVER, "audit", "--state-dir", folder, "--json", "--limit=2000"];
    const text = await Bun.$`sh -c ${command} sh ${argv}`.text();
    expect(AuditDocument.parse(JSON.parse(text)).entries.length).toBe(2_000);
  } finally {
    await rm(folder, { recursive: true });
  }
}, 30_000);
