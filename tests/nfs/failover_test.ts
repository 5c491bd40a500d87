// The file server starts again, its export goes away and comes back, and the exported file system is taken away, brought back
// and moved, while commands come: nothing is lost, nothing is done twice.
import { describe, test } from "bun:test";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { report } from "#tests/nfs/guest/figures.ts";
import { withoutNfsd } from "#tests/nfs/guest/file_systems/nfs.ts";
import { ask, type Ended, lostOf, modelsOf, requestsOf, runIds } from "#tests/nfs/guest/load.ts";
import { expectOnce } from "#tests/nfs/guest/once.ts";
import { FULL, titleOf, VERSIONS, type Version } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";
import { SpareDisk } from "#tests/nfs/guest/spare_disk.ts";
import { type HttpServer, type Running, until } from "#tests/process/site/site.ts";

const COMMANDS = FULL ? 200 : 30;
const requests = requestsOf(COMMANDS, ["pull", "delete"]);
const TIMEOUT_S = 60;
const LASTING_MS = FULL ? 75_000 : 50_000;
const AWAY_MS = FULL ? 4_000 : 2_500;
const ANSWERS_AFTER_MS = 1_500;
/** Clients of a server that has taken its export away are denied. */
const NOT_DONE = [503, 403];

interface Setting {
  readonly version: Version;
  readonly site: NetworkSite;
  readonly disk: SpareDisk;
  readonly ollama: SimulatedOllama;
  readonly agent: Running;
  readonly server: HttpServer;
}

interface Event {
  readonly name: string;
  readonly atMs: number;
  readonly happen: (settings: readonly Setting[]) => Promise<unknown>;
}

const EVENTS: readonly Event[] = [
  {
    name: "the server starts again",
    atMs: 4_000,
    happen: async () => await withoutNfsd(async () => await Bun.sleep(AWAY_MS)),
  },
  {
    name: "the export is taken away and comes back",
    atMs: 14_000,
    happen: async (settings) => {
      for (const { site } of settings) await site.unexport();
      await Bun.sleep(AWAY_MS);
      for (const { site } of settings) await site.export("no_root_squash");
    },
  },
  {
    name: "the file system is unmounted and mounted again",
    atMs: 22_000,
    happen: async (settings) => await replace(settings, async ({ site, disk }) => await disk.mount(site.folder)),
  },
  {
    name: "the file system moves",
    atMs: 36_000,
    happen: async (settings) => await replace(settings, async ({ site, disk }) => await disk.bind(site.folder)),
  },
];

/** Leaves the empty folder exported for a while, then brings the file system back. */
async function replace(settings: readonly Setting[], back: (setting: Setting) => Promise<void>): Promise<void> {
  await exportAgain(settings, async ({ disk }) => await disk.unmount());
  await Bun.sleep(AWAY_MS);
  await exportAgain(settings, back);
}

async function exportAgain(settings: readonly Setting[], change: (setting: Setting) => Promise<void>): Promise<void> {
  await withoutNfsd(async () => {
    for (const setting of settings) {
      await setting.site.unexport();
      await change(setting);
      await setting.site.export("no_root_squash");
    }
  });
}

async function prepare(sites: AsyncDisposableStack, version: Version): Promise<Setting> {
  const disk = new SpareDisk(version);
  await disk.mount(`/disk/export/failover-${version}`);
  const site = await NetworkSite.open("failover", version);
  sites.defer(async () => {
    await site.unexport();
    await withoutNfsd(async () => await disk[Symbol.asyncDispose]());
    await site[Symbol.asyncDispose]();
  });
  const ollama = await site.ollama({ catalog: modelsOf(requests, "pull"), installed: modelsOf(requests, "delete") });
  const [agent, server] = await Promise.all([
    site.agent("c1", "gpu-1", ollama),
    site.server("c2", ["--timeout", String(TIMEOUT_S)]),
  ]);
  await until(() => site.state("gpu-1")["models"] !== null, "the agent knows its models");
  // Commands are under way whenever something happens.
  ollama.faults.tagsDelayMs = ANSWERS_AFTER_MS;
  return { version, site, disk, ollama, agent, server };
}

async function strike(settings: readonly Setting[]): Promise<void> {
  const startedMs = performance.now();
  for (const { atMs, happen } of EVENTS) {
    await Bun.sleep(startedMs + atMs - performance.now());
    await happen(settings);
  }
}

async function sendAll({ server }: Setting): Promise<readonly Ended[]> {
  const startedMs = performance.now();
  const asked = requests.map(async (request, index) => {
    const atMs = (index * LASTING_MS) / COMMANDS;
    await Bun.sleep(atMs);
    const ended = await ask(server, request, TIMEOUT_S * 1000, NOT_DONE);
    return { ...ended, sentAtMs: Math.round(performance.now() - startedMs - ended.tookMs) };
  });
  return await Promise.all(asked);
}

function reportEnded({ version, agent, ollama, server }: Setting, ended: readonly Ended[]): void {
  const counted = Object.entries(Object.groupBy(ended, ({ status }) => String(status)));
  const statuses = counted.map(([status, list]) => `${list?.length} with ${status}`).join(", ");
  const slowest = Math.round(Math.max(...ended.map(({ tookMs }) => tookMs)));
  const again = Object.entries(
    Object.groupBy(
      ended.flatMap((each) => each.again),
      String,
    ),
  );
  report(`${titleOf(version)}, ${ended.length} changing commands: ${statuses}; slowest ${slowest} ms`);
  const { requests: calls } = ollama.counters;
  const [ids, deletes, pulls] = [runIds(agent), calls["DELETE /api/delete"], calls["POST /api/pull"]];
  report(
    `  run: ${ids.length}, ${ids.length - new Set(ids).size} of them twice; Ollama saw ${deletes} deletes, ${pulls} pulls`,
  );
  report(`  asked again after ${again.map(([status, list]) => `${list?.length} with ${status}`).join(", ") || "none"}`);
  report(`  lost: ${JSON.stringify(lostOf(ended))}`);
  const complaints = (log: string): string[] => log.split("\n").filter((line) => /"level":"(?:warn|error)"/.test(line));
  for (const line of [...complaints(agent.log), ...complaints(server.process.log)].slice(0, 20)) report(`  ${line}`);
}

describe("while its file server starts again and its export comes and goes", () => {
  test(`${COMMANDS} changing commands are answered, each once`, async () => {
    await using sites = new AsyncDisposableStack();
    const settings = await Promise.all(VERSIONS.map(async (version) => await prepare(sites, version)));
    const striking = strike(settings);
    sites.defer(async () => await striking);
    const all = await Promise.all(settings.map(async (setting) => [setting, await sendAll(setting)] as const));
    for (const [setting, ended] of all) reportEnded(setting, ended);
    for (const { ollama } of settings) ollama.faults.tagsDelayMs = 0;
    for (const [setting, ended] of all) await expectOnce(setting, requests, ended);
  }, 400_000);
});
