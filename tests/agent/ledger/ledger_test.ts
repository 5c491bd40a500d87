// The agent's memory when its disk is full, when it is damaged, and when it is lost.
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Ledger } from "#src/agent/ledger/ledger.ts";
import { isoTime } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { type Job, newPull } from "#src/protocol.ts";
import { FailingDisk } from "#tests/support/disk/failing_disk.ts";
import { failure } from "#tests/support/failure.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

let site: MemorySite;
beforeEach(async () => {
  site = new MemorySite();
  await site.listen({ replyTo: "tester" });
  await site.listen("shared");
});
afterEach(async () => await site.close());

const DELETE = { command: "delete_model", model_name: "phi4" };

function keep(ledger: Ledger, job: Job): void {
  ledger.keepJob(job.id ?? "", JSON.stringify(job));
}

/** A ledger with some history. */
function filled(dir: string): void {
  const ledger = new Ledger(dir);
  for (let i = 0; i < 500; i++) ledger.respond(`key-${i}`, "x".repeat(200), i);
  keep(ledger, newPull("job-1", "gpu-1", "phi4:latest"));
  ledger.close();
}

function damage(dir: string, how: "head" | "middle" | "cut"): void {
  const path = join(dir, "ledger.db");
  if (how === "cut") return writeFileSync(path, readFileSync(path).subarray(0, 30_000));
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(20_000, 7), 0, 20_000, how === "head" ? 0 : 8192);
  closeSync(file);
}

describe("a corrupt ledger", () => {
  test.each(["head", "middle", "cut"] as const)(
    "is set aside when its %s is damaged, and the next start creates a new one",
    async (how) => {
      const dir = site.stateDir();
      filled(dir);
      damage(dir, how);
      const ledger = new Ledger(dir);
      expect(ledger.trouble).toMatchObject({ code: "unavailable" });
      expect(ledger.trouble?.message).toContain("ledger.db.corrupt-1: jobs and recorded responses are lost");
      expect(readdirSync(dir)).toEqual(["ledger.db.corrupt-1"]);
      expect(ledger.jobs()).toEqual([]);
      ledger.recover(1000, 1000);
      expect(await failure((async () => ledger.start("key", 1000))())).toMatchObject({ code: "unavailable" });
      expect(readdirSync(dir)).toEqual(["ledger.db.corrupt-1"]);
      ledger.close();

      const next = new Ledger(dir, { isFirst: false });
      expect(next.trouble).toBeNull();
      // Until it has recorded when it came into use, any command may have run before.
      expect(next.mayHaveForgotten(5000)).toBe(true);
      // The transport's clock has fractions of a ms.
      next.recover(1000.5, 1999.5);
      expect(next.trouble).toBeNull();
      expect([next.mayHaveForgotten(1999), next.mayHaveForgotten(2000)]).toEqual([true, false]);
      next.recover(1000, 9000);
      expect(next.mayHaveForgotten(2000)).toBe(false);
      next.close();
    },
  );

  test("does not overwrite a ledger that was set aside before", () => {
    const dir = site.stateDir();
    for (const number of [1, 2]) {
      filled(dir);
      damage(dir, "head");
      new Ledger(dir).close();
      expect(readdirSync(dir)).toContain(`ledger.db.corrupt-${number}`);
    }
  });

  test("is set aside while the agent runs, by the command that finds the damage", async () => {
    const disk = new FailingDisk();
    const dir = site.stateDir();
    await site.start("gpu-1", { dir, openDatabase: disk.open });
    disk.fails = "SQLITE_CORRUPT";
    await site.command("gpu-1", "delete", DELETE);
    expect(site.replies.get("delete")).toMatchObject({ success: false, code: "unavailable" });
    expect(readdirSync(dir).filter((name) => /^ledger.*(?<!-wal)$/.test(name))).toEqual(["ledger.db.corrupt-1"]);
    disk.fails = null;
    await site.clock.advance(6000);
    expect(await site.state("gpu-1")).toMatchObject({ status: "degraded", reading_only: true });
    await site.command("gpu-1", "list", { command: "list_models" });
    expect(site.replies.get("list")?.success).toBe(true);
  });

  test("leaves the agent with reading verbs and the reason, and the next start runs nothing that may have run before", async () => {
    const dir = site.stateDir();
    filled(dir);
    damage(dir, "head");
    const ollama = new ScriptedOllama();
    const first = await site.start("gpu-1", { dir, ollama });
    await site.clock.advance(6000);
    const state = await site.state("gpu-1");
    expect(state).toMatchObject({ status: "degraded", reading_only: true, serves_shared_inbox: true });
    expect(state.degraded_reason).toStartWith(
      "only reading verbs are served: The ledger was corrupt and was set aside",
    );
    await site.command("gpu-1", "list", { command: "list_models" });
    await site.command("gpu-1", "ping", { command: "ping" });
    await site.send("shared", "list_models_1", { command: "list_models" });
    for (const id of ["list", "ping", "list_models_1"]) expect(site.replies.get(id)?.success).toBe(true);
    await site.command("gpu-1", "delete", DELETE);
    await site.send("shared", "delete_model_1", DELETE);
    expect(site.replies.get("delete")).toMatchObject({ success: false, code: "unavailable" });
    expect(site.replies.get("delete")?.hint).toContain("restart gpu-agent");
    // Removed before it is refused, and that only when it is 5 s old.
    await site.clock.advance(5_000);
    expect(site.replies.get("delete_model_1")?.error).toContain("was set aside as");
    await site.kill(first);

    await site.command("gpu-1", "before", DELETE);
    await site.clock.advance(1000);
    const second = await site.start("gpu-1", { dir, ollama, isFirst: false });
    expect(site.replies.get("before")).toMatchObject({ success: false, code: "unavailable" });
    expect(site.replies.get("before")?.error).toContain("sent before the agent lost its ledger");
    expect(ollama.calls).toEqual([]);
    await site.command("gpu-1", "after", DELETE);
    expect(site.replies.get("after")?.success).toBe(true);
    expect(await site.state("gpu-1")).toMatchObject({ status: "running", degraded_reason: null });
    expect(second.ledger.trouble).toBeNull();
  });
});

test("a ledger that was removed counts as lost; one that never existed does not", () => {
  const dir = site.stateDir();
  const first = new Ledger(dir, { isFirst: true });
  expect(first.mayHaveForgotten(0)).toBe(false);
  first.close();
  rmSync(join(dir, "ledger.db"));
  const second = new Ledger(dir, { isFirst: false });
  expect(second.mayHaveForgotten(0)).toBe(true);
  second.close();
});

describe("a full disk", () => {
  test("leaves the agent with reading verbs until there is space, even if the ledger cannot be created", async () => {
    const disk = new FailingDisk("SQLITE_FULL");
    const ollama = new ScriptedOllama();
    await site.start("gpu-1", { ollama, openDatabase: disk.open });
    await site.clock.advance(6000);
    const state = await site.state("gpu-1");
    expect(state).toMatchObject({ status: "degraded", reading_only: true });
    expect(state.degraded_reason).toContain("no space left for");
    await site.command("gpu-1", "list", { command: "list_models" });
    await site.command("gpu-1", "delete-1", DELETE);
    await site.command("gpu-1", "pull-1", { command: "pull_model", model_name: "gemma" });
    expect(site.replies.get("list")?.success).toBe(true);
    for (const id of ["delete-1", "pull-1"]) {
      expect(site.replies.get(id)).toMatchObject({ success: false, code: "exhausted" });
      expect(site.replies.get(id)?.hint).toContain("the agent then recovers by itself");
    }
    expect(ollama.calls).toEqual([]);
    disk.fails = null;
    await site.clock.advance(6000);
    expect(await site.state("gpu-1")).toMatchObject({ status: "running", degraded_reason: null });
    await site.command("gpu-1", "delete-2", DELETE);
    expect(site.replies.get("delete-2")?.success).toBe(true);
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
  });

  test("that fills up while a command runs loses no response: it is recorded once there is space", async () => {
    const disk = new FailingDisk();
    const dir = site.stateDir();
    const ollama = new ScriptedOllama();
    const { promise, resolve } = Promise.withResolvers<void>();
    const first = await site.start("gpu-1", { dir, ollama, openDatabase: disk.open });
    ollama.trouble = promise;
    await site.command("gpu-1", "delete-1", DELETE);
    disk.fails = "SQLITE_FULL";
    resolve();
    await site.clock.advance(100);
    const answer = site.replies.get("delete-1");
    expect(answer?.success).toBe(true);
    // The same id again, first while the disk is full, then when there is space, then after a restart.
    for (const fails of ["SQLITE_FULL", null] as const) {
      disk.fails = fails;
      await site.clock.advance(6000);
      site.replies.clear();
      await site.command("gpu-1", "delete-1", DELETE);
      expect(site.replies.get("delete-1")).toEqual(answer);
    }
    await site.kill(first);
    site.replies.clear();
    await site.start("gpu-1", { dir, ollama });
    await site.command("gpu-1", "delete-1", DELETE);
    expect(site.replies.get("delete-1")).toEqual(answer);
    expect(ollama.calls).toEqual(["delete phi4:latest"]);
  });

  test("is noticed by the first command after it fills up, and recorded responses are still answered", async () => {
    const disk = new FailingDisk();
    await site.start("gpu-1", { openDatabase: disk.open });
    await site.command("gpu-1", "delete-1", DELETE);
    const answer = site.replies.get("delete-1");
    disk.fails = "SQLITE_FULL";
    await site.command("gpu-1", "delete-2", DELETE);
    expect(site.replies.get("delete-2")).toMatchObject({ success: false, code: "exhausted" });
    await site.clock.advance(10);
    site.replies.clear();
    await site.command("gpu-1", "delete-1", DELETE);
    expect(site.replies.get("delete-1")).toEqual(answer);
    await site.clock.advance(6000);
    expect(await site.state("gpu-1")).toMatchObject({ status: "degraded", reading_only: true });
    disk.fails = null;
    await site.clock.advance(6000);
    expect((await site.state("gpu-1")).status).toBe("running");
  });

  test("loses no end of a pull: an end that could not be saved is saved once there is space", async () => {
    const disk = new FailingDisk();
    const dir = site.stateDir();
    const ollama = new ScriptedOllama();
    const end = Promise.withResolvers<void>();
    ollama.pullEnds = end.promise;
    const first = await site.start("gpu-1", { ollama, dir, openDatabase: disk.open });
    await site.command("gpu-1", "pull-1", { command: "pull_model", model_name: "gemma" });
    disk.fails = "SQLITE_FULL";
    end.reject(new CourierError("exhausted", "no space left on device"));
    await site.clock.advance(6000);
    disk.fails = null;
    await site.clock.advance(6000);
    await site.kill(first);
    await site.start("gpu-1", { ollama, dir });
    await site.clock.advance(6000);
    expect((await site.state("gpu-1")).jobs).toMatchObject([{ state: "failed", code: "exhausted" }]);
    expect(ollama.calls).toEqual(["pull gemma:latest"]);
  });
});

test("a job that this version cannot read is left out and logged, and the agent begins with the others", async () => {
  const dir = site.stateDir();
  const ledger = new Ledger(dir);
  for (const id of ["job-1", "job-2"]) keep(ledger, newPull(id, "gpu-1", `${id}:latest`));
  ledger.close();
  const database = new Database(join(dir, "ledger.db"));
  // As a later version may have written it before a rollback.
  database.run("UPDATE jobs SET document = json_set(document, '$.state', 'paused') WHERE id = 'job-1'");
  database.close();
  const errors: unknown[] = [];
  const log = { ...silentLog, error: (fields: object, message: string) => errors.push({ ...fields, message }) };
  const ollama = new ScriptedOllama();
  await site.start("gpu-1", { dir, ollama, log });
  await site.clock.advance(1000);
  expect(ollama.calls).toEqual(["pull job-2:latest"]);
  expect(errors).toMatchObject([{ job: "job-1", message: "Cannot read a job: it is left out" }]);
});

test("sweep() keeps the jobs that ended last, not those that were requested last", () => {
  const ledger = new Ledger(site.stateDir());
  const endedAt = (second: number): string => isoTime(site.clock.now() + second * 1000);
  keep(ledger, { ...newPull("job-long", "gpu-1", "m"), state: "succeeded", ended_at: endedAt(1000) });
  for (let i = 0; i < 250; i++) {
    keep(ledger, { ...newPull(`job-${i}`, "gpu-1", "m"), state: "succeeded", ended_at: endedAt(i) });
  }
  ledger.sweep(site.clock.now(), site.clock.now());
  const kept = ledger.jobs().map(({ id }) => id);
  expect([kept.length, kept[0], kept.at(-1)]).toEqual([200, "job-long", "job-249"]);
  ledger.close();
});

describe("sweep() of a signed command, which could be put on the share again", () => {
  const HOUR_MS = 3_600_000;
  const KEEP_MS = 49 * HOUR_MS;

  test.each([
    ["keeps it while only the share's clock is 49 h ahead", [KEEP_MS + 1, 0], true],
    ["keeps it while only the box's clock is 49 h ahead", [0, KEEP_MS + 1], true],
    ["removes it when both are", [KEEP_MS + 1, KEEP_MS + 1], false],
  ] as const)("%s", (_, [shareMs, boxMs], isKept) => {
    const ledger = new Ledger(site.stateDir());
    ledger.start("id-1", 0, { boxNowMs: 0, expiresAtMs: 24 * HOUR_MS });
    ledger.sweep(shareMs, boxMs);
    expect(ledger.read("id-1") !== null).toBe(isKept);
    ledger.close();
  });

  test("keeps it until an hour after it expires", () => {
    const ledger = new Ledger(site.stateDir());
    ledger.start("id-1", 0, { boxNowMs: 0, expiresAtMs: 100 * HOUR_MS });
    ledger.sweep(101 * HOUR_MS, 101 * HOUR_MS);
    expect(ledger.read("id-1")).not.toBeNull();
    ledger.sweep(101 * HOUR_MS + 1, 101 * HOUR_MS + 1);
    expect(ledger.read("id-1")).toBeNull();
    ledger.close();
  });

  test("removes an unsigned command by the share's clock alone, as before", () => {
    const ledger = new Ledger(site.stateDir());
    ledger.start("id-1", 0);
    ledger.sweep(KEEP_MS + 1, 0);
    expect(ledger.read("id-1")).toBeNull();
    ledger.close();
  });
});
