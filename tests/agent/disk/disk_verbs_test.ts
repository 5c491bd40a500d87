// disk_usage and prune as verbs: their arguments, their words, lists that are too long, and a folder that is closed to the agent.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pruneDisk, showDisk } from "#src/agent/models/disk_verbs.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { type Job, newPull, Response } from "#src/protocol.ts";
import { digestOf, folderOf, ModelsFixture } from "#tests/support/disk/models_fixture.ts";
import { failure } from "#tests/support/failure.ts";
import { MemorySite, ScriptedOllama } from "#tests/support/sites/agent_on_memory.ts";

const NO_PULLS = { layers: () => [], running: () => [] };
const clock = { ...systemClock, now: () => Date.now() + 7_200_000, monotonic: () => systemClock.monotonic() };

let dir: ModelsFixture;
beforeEach(() => {
  dir = new ModelsFixture();
  dir.manifest("phi4:latest", { a: 10_000 });
  dir.blob("a", 10_000);
  dir.blob("d", 12_345);
});
afterEach(() => dir.remove());

const parts = (models: Parameters<typeof showDisk>[0]["models"] = dir.folder()) => ({ models, jobs: NO_PULLS, clock });

describe("disk_usage and prune", () => {
  test("through an agent: the usage and a dry run, with the same bytes", async () => {
    const site = new MemorySite();
    await site.listen({ replyTo: "tester" });
    const ollama = new ScriptedOllama();
    ollama.models = dir.listed();
    await site.start("gpu-1", { ollama, modelsDir: dir.path, clock });
    await site.command("gpu-1", "usage", { command: "disk_usage" });
    await site.command("gpu-1", "dry", { command: "prune", arguments: { dry_run: true } });
    for (let i = 0; i < 200 && !(site.replies.has("usage") && site.replies.has("dry")); i++) await Bun.sleep(5);
    expect(site.replies.get("usage")).toMatchObject({ success: true, disk_usage: { orphans_bytes: 12_345 } });
    expect(site.replies.get("dry")).toMatchObject({
      message: "Would remove 1 blob, 12.3 kB",
      pruned: { dry_run: true, bytes: 12_345, removed: [{ kind: "orphan", digest: digestOf("d"), bytes: 12_345 }] },
    });
    await site.close();
  });

  test.each([[{ partials: "yes" }], [{ orphans: 1 }], [{ dry_run: "true" }], [{ partials: false, orphans: false }]])(
    "prune with %j is invalid",
    async (given) => {
      expect(await failure(pruneDisk(given, parts()))).toMatchObject({ code: "invalid" });
    },
  );

  test.each([
    [{}, 1],
    [{ partials: true }, 0],
    [{ orphans: true, partials: null }, 1],
    [{ orphans: false }, 0],
    [{ partials: false }, 1],
  ])("prune with %j removes %d blobs", async (given, count) => {
    expect((await pruneDisk(given, parts())).pruned?.count).toBe(count);
  });

  test("prune runs again after a crash, and is answered once", async () => {
    const site = new MemorySite();
    await site.listen({ replyTo: "tester" });
    const ollama = new ScriptedOllama();
    ollama.models = dir.listed();
    const { clock: manual } = site;
    const later: Clock = {
      now: clock.now,
      monotonic: () => manual.monotonic(),
      sleep: async (ms, signal) => await manual.sleep(ms, signal),
    };
    const settings = { ollama, modelsDir: dir.path, clock: later, dir: site.stateDir() };
    const first = await site.start("gpu-1", settings);
    await site.command("gpu-1", "prune", { command: "prune" });
    await site.kill(first);
    expect(site.replies.get("prune")).toBeUndefined();
    await site.start("gpu-1", settings);
    for (let i = 0; i < 400 && !site.replies.has("prune"); i++) await Bun.sleep(5);
    expect(site.replies.get("prune")).toMatchObject({ success: true });
    expect(await pruneDisk({}, parts())).toMatchObject({ pruned: { count: 0, kept: [] } });
    await site.close();
  });

  test("are unavailable, with the hint of the folder, where it is unknown", async () => {
    const none = parts(folderOf(join(dir.path, "none")));
    for (const asked of [showDisk(none), pruneDisk({}, none)]) {
      const { code, hint } = await failure(asked);
      expect([code, hint]).toEqual(["unavailable", expect.stringContaining("--ollama-models")]);
    }
  });

  test("prune is forbidden without the right to write, with the command that gives it", async () => {
    const found = await dir.folder().place();
    // No root can search a file.
    rmSync(join(dir.path, "blobs"), { recursive: true });
    writeFileSync(join(dir.path, "blobs"), "");
    const closed = parts({ place: async () => await Promise.resolve(found) });
    const { code, hint } = await failure(pruneDisk({}, closed));
    expect([code, hint]).toEqual(["forbidden", expect.stringContaining("sudo setfacl -m u:")]);
    expect(hint).toContain(join(dir.path, "blobs"));
    expect(hint).toEndWith(", or install.sh --manage-blobs of its release");
    expect(await failure(showDisk(closed))).toMatchObject({ code: "unavailable" });
  });

  test("prune names all of the command where the unit keeps the folder read-only too", async () => {
    const found = await dir.folder().place();
    if (!("disk" in found)) throw new Error("The folder is unknown");
    rmSync(join(dir.path, "blobs"), { recursive: true });
    writeFileSync(join(dir.path, "blobs"), "");
    const path = "/usr/share/ollama/.ollama/models/blobs";
    const place = async () => await Promise.resolve({ ...found, disk: { ...found.disk, path } });
    const { hint = "" } = await failure(pruneDisk({}, parts({ place })));
    const command = hint.slice("Run on that machine: sudo sh -c '".length, hint.indexOf("', or"));
    expect(command.split(" && ")).toEqual([
      `setfacl -m u:${process.getuid?.() ?? 0}:rwx ${path}`,
      "mkdir -p /etc/systemd/system/gpu-command-service.service.d",
      `printf "[Service]\\nReadWritePaths=-${path}\\n" > /etc/systemd/system/gpu-command-service.service.d/blobs.conf`,
      "systemctl daemon-reload",
      "systemctl restart gpu-command-service.service",
    ]);
  });

  test("cut their lists to a response, and name the cut ones; the sums are of everything", async () => {
    const hex = Array.from({ length: 1_200 }, (_, i) => i.toString(16).padStart(64, "0"));
    for (const each of hex) dir.file(`blobs/sha256-${each}`, "x");
    const job: Job = { ...newPull("job-1", "gpu-1", "m".repeat(900)), state: "failed" };
    const jobs = { layers: () => [{ job, digests: hex.map((each) => `sha256:${each}`) }], running: () => [] };
    const { disk_usage, truncated } = await showDisk({ ...parts(), jobs });
    expect(truncated).toEqual(["disk_usage.orphans"]);
    expect([disk_usage?.orphans_bytes, disk_usage?.models.length]).toEqual([12_345 + 1_200, 1]);
    const text = JSON.stringify({ success: true, disk_usage, truncated });
    expect(text.length).toBeLessThan(4_194_304 - 65_536);
    expect(Response.parse(JSON.parse(text)).disk_usage?.orphans.length).toBeGreaterThan(800);
  });
});
