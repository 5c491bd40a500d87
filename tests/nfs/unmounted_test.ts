// The mount point without the share: an agent waits for it and writes nothing there, at its start and later.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { report } from "#tests/nfs/guest/figures.ts";
import { run } from "#tests/nfs/guest/machines.ts";
import { VERSIONS } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";
import { type Running, until } from "#tests/process/site/site.ts";

const TIMEOUT_MS = 40_000;

async function bareFolder(site: NetworkSite): Promise<string> {
  return (await run("c1", "find", site.share, "-mindepth", "1")).trim();
}

async function isOnline(site: NetworkSite): Promise<boolean> {
  return (await site.gpuctl("c2", "ping", "--agent", "gpu-1", "--timeout", "5")).status === 0;
}

function warnings(agent: Running): Record<string, unknown>[] {
  const lines = agent.log.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line)).filter(({ level }) => level === "warn" || level === 40);
}

describe.each(VERSIONS)("NFSv%s", (version) => {
  test.concurrent("an agent that starts before the mount waits for it, reports that, and goes on when it is there", async () => {
    await using site = await NetworkSite.open("late", version, ["c2"]);
    await run("c1", "mkdir", "-p", site.share);
    const agent = site.startAgent("c1", "gpu-1", await site.ollama());
    await until(() => agent.log.includes("Is the share mounted?"), "it is reported", TIMEOUT_MS);
    report(`NFSv${version}, not mounted: ${JSON.stringify(warnings(agent)[0])}`);
    await Bun.sleep(3_000);
    expect(await bareFolder(site)).toBe("");
    expect(warnings(agent).length).toBe(1);
    await site.mount("c1");
    await agent.logged('"Ready"');
    expect(await until(async () => await isOnline(site), "it answers", TIMEOUT_MS)).toBe(true);
  }, 120_000);

  test.concurrent("a share that is unmounted while the agent runs is noticed, and nothing is written there", async () => {
    await using site = await NetworkSite.open("gone", version, ["c1", "c2"]);
    const agent = await site.agent("c1", "gpu-1", await site.ollama());
    await until(async () => await isOnline(site), "it answers", TIMEOUT_MS);
    await site.unmount("c1");
    await until(() => agent.log.includes("not mounted?"), "it is noticed", TIMEOUT_MS);
    report(`NFSv${version}, unmounted: ${JSON.stringify(warnings(agent)[0])}`);
    expect(agent.log).not.toContain("Unexpected failure");
    // Longer than from one publication of the state to the next.
    await Bun.sleep(6_000);
    expect(await bareFolder(site)).toBe("");
    await site.mount("c1");
    expect(await until(async () => await isOnline(site), "it answers again", TIMEOUT_MS)).toBe(true);
    expect(readFileSync(`${site.folder}/gpu_status/gpu-1_status.json`, "utf8")).toContain('"running"');
  }, 180_000);
});
