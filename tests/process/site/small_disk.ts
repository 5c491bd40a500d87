// An agent whose models' disk is really too small, and what everybody sees. Runs in a mount namespace of its own, in which
// it may mount. argv: `ext4` or `tmpfs`. Prints what it saw as one JSON line.
import { mkdirSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { ProcessSite, until } from "./site.ts";

const DISK_BYTES = 32 * 1024 * 1024;
const LARGE_BYTES = 60_000_000;

const [kind = "tmpfs"] = process.argv.slice(2);
const dir = mkdtempSync(join(tmpdir(), "gpu-courier-small-disk-"));
const disk = join(dir, "disk");

function run(...command: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync([...command], { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
}

function mountDisk(): void {
  mkdirSync(disk);
  if (kind === "tmpfs") {
    run("mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", disk);
    return;
  }
  const image = join(dir, "image");
  writeFileSync(image, "");
  truncateSync(image, DISK_BYTES);
  run("mkfs.ext4", "-q", "-F", image);
  run("mount", "-o", "loop", image, disk);
}

function freeBytes(): number {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
}

async function play(site: ProcessSite): Promise<object> {
  const registry = await Registry.start();
  try {
    const large = registry.offer("large", { layers: [LARGE_BYTES, 100] });
    const modelsDir = join(disk, "models");
    // It reports no bytes on the way, so the agent never closes the connection to save them.
    const ollama = await site.ollama({ modelsDir, catalog: [], progressIntervalMs: 60_000 });
    const settings = [
      "--ollama-models",
      modelsDir,
      "--preflight",
      "on",
      "--insecure-registry",
      registry.host,
      "--disk-reserve",
      "1MB",
    ];
    await site.agent("gpu-1", ollama.url, settings);
    const server = await site.server();
    const before = freeBytes();
    const pulls = (): number => ollama.counters.requests["POST /api/pull"] ?? 0;

    const refused = await site.gpuctl("pull", large);
    const answered = await server.call("POST", "/v1/jobs", { kind: "pull", model: large, agents: ["gpu-1"] });
    const served = registry.served("large").bytes;
    const beforeFirstByte = { pulls: pulls(), freedBytes: freeBytes() - before, served };
    site.write("gpu_commands/pull_model_1.json", { command: "pull_model", model_name: large });
    const old = await site.document("gpu_status/pull_model_1_response.json");
    const oldJob = await until(() => endedJobs(site).at(-1), "the legacy backend's pull ended");

    const forced = await site.gpuctl("pull", large, "--force");
    const full = freeBytes();
    const body = { kind: "pull", model: large, agents: ["gpu-1"], force: true };
    const { answer } = await server.call("POST", "/v1/jobs", body);
    const ended = await until(() => {
      const jobs = endedJobs(site);
      return jobs.length > 2 ? jobs.at(-1) : undefined;
    }, "the forced pull ended");
    const alive = { ping: await site.gpuctl("ping"), list: await site.gpuctl("list") };
    return {
      modelsDir,
      refused,
      answered,
      beforeFirstByte,
      old,
      oldJob,
      forced,
      full,
      answer,
      ended,
      alive,
      pulls: pulls(),
    };
  } finally {
    await registry.stop();
  }
}

function endedJobs(site: ProcessSite): object[] {
  const { jobs } = site.state("gpu-1");
  if (!Array.isArray(jobs)) throw new Error("The state has no jobs");
  return jobs.filter((job: { ended_at: unknown }) => job.ended_at !== null);
}

mountDisk();
const site = new ProcessSite();
try {
  process.stdout.write(`${JSON.stringify(await play(site))}\n`);
} finally {
  await site.close();
  run("umount", disk);
  rmSync(dir, { recursive: true });
}
