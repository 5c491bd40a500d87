// gpu-agent with its state directory on a disk that is really full: a small tmpfs in a mount namespace of its own.
import { afterAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ProcessSite, until } from "#tests/process/site/site.ts";

const PHI = { name: "phi4:latest", layers: [1000] };
const DISK_BYTES = 1024 * 1024;

const site = new ProcessSite();
afterAll(async () => await site.close());

test("gpu-agent serves reading verbs while its disk is full, reports why, and resumes when there is room", async () => {
  const ollama = await site.ollama({ installed: [PHI] });
  const agent = await site.agentOnSmallDisk("gpu-1", ollama.url, DISK_BYTES);
  const filler = join("/proc", String(agent.pid), "root", site.stateDirOf("gpu-1"), "filler");
  fill(filler);
  const refused = await site.gpuctl("rm", "phi4", "--json");
  expect([refused.status, JSON.parse(refused.stdout).agents[0].code]).toEqual([75, "exhausted"]);
  await agent.logged("Only reading verbs are served: Cannot write to the ledger: no space left");
  await until(() => site.state("gpu-1")["status"] === "degraded", "its state is degraded");
  expect((await site.gpuctl("agents")).stdout).toContain("degraded: only reading verbs are served");
  expect((await site.gpuctl("list", "--fresh")).stdout).toContain("phi4:latest");
  expect((await site.gpuctl("ping")).status).toBe(0);
  rmSync(filler);
  await agent.logged("Changing verbs are served again");
  expect((await site.gpuctl("rm", "phi4")).status).toBe(0);
  expect(ollama.installed()).toEqual([]);
}, 60_000);

/** Writes until no byte has room. */
function fill(path: string): void {
  for (let bytes = DISK_BYTES; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: "a" });
    } catch (error) {
      if (!String(error).includes("ENOSPC")) throw error;
    }
  }
}
