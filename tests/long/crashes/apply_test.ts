// gpuctl is killed in the middle of an apply, and run again: the fleet ends as if nothing had happened.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { ProcessSite, until } from "#tests/process/site/site.ts";

const KILLED = 128 + 9;
const WANTED = ["phi4:latest", "qwen3:8b"];
const CATALOG = WANTED.map((name) => ({ name, layers: [3_000_000, 1000] }));
const FILE = ["models:", "  - name: phi4", "    on: all", "  - name: qwen3:8b", "    on: all", "prune: true", ""].join(
  "\n",
);

interface Fleet {
  readonly site: ProcessSite;
  readonly ollamas: readonly SimulatedOllama[];
  /** Jobs of all boxes, in any state or in this one. */
  readonly jobs: (state?: string) => number;
}

/** When it is killed, in the order in which it comes there. */
const POINTS: readonly (readonly [string, (fleet: Fleet) => boolean])[] = [
  ["as its first command is there", ({ jobs }) => jobs() >= 1],
  ["while all pulls run or wait", ({ jobs }) => jobs() === 4],
  ["when the first pull has ended", ({ jobs }) => jobs("succeeded") >= 1],
  ["when one box is done", ({ ollamas }) => ollamas.some((ollama) => hasAll(ollama))],
  ["when all pulls have ended, before or while it deletes", ({ jobs }) => jobs("succeeded") === 4],
];

test.each(POINTS)(
  "killed %s and run again, apply ends with every model once, and without the others",
  async (_, isThere) => {
    const site = new ProcessSite();
    try {
      const fleet = await startFleet(site);
      const file = join(site.dir, "fleet.yaml");
      writeFileSync(file, FILE);
      const apply = ["--share", site.share, "apply", file, "--yes"];
      const dying = site.start("client.ts", apply);
      await until(() => isThere(fleet), "it is there", 30_000, 1);
      expect(await dying.stop("SIGKILL")).toBe(KILLED);
      expect(await site.start("client.ts", apply).exited()).toBe(0);
      for (const ollama of fleet.ollamas) expect(ollama.installed().toSorted()).toEqual(WANTED);
      expect([fleet.jobs(), fleet.jobs("succeeded")]).toEqual([4, 4]);
      expect((await site.gpuctl("plan", file)).status).toBe(0);
    } finally {
      await site.close();
    }
  },
  60_000,
);

/** Two boxes with a model that nobody wants, and without those of the file. */
async function startFleet(site: ProcessSite): Promise<Fleet> {
  const names = ["gpu-1", "gpu-2"];
  const ollamas: SimulatedOllama[] = [];
  for (const name of names) {
    const old = { name: "old:1b", layers: [1000] };
    const ollama = await site.ollama({ catalog: CATALOG, installed: [old], bytesPerSecond: 4_000_000 });
    await (await site.agent(name, ollama.url)).logged("Ollama is reachable");
    ollamas.push(ollama);
  }
  const jobs = (state?: string): number =>
    names.reduce((sum, name) => sum + jobsOf(site.state(name)["jobs"], state), 0);
  return { site, ollamas, jobs };
}

function jobsOf(jobs: unknown, state: string | undefined): number {
  const all: readonly { readonly state?: unknown }[] = Array.isArray(jobs) ? jobs : [];
  return all.filter((job) => state === undefined || job.state === state).length;
}

function hasAll(ollama: SimulatedOllama): boolean {
  return WANTED.every((name) => ollama.installed().includes(name));
}
