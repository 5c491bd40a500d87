// The share goes away for 15 s while commands come, its server stopped or the network cut: nothing is lost, nothing is done
// twice, and every process stays of use.
import { describe, expect, test } from "bun:test";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { report } from "#tests/nfs/guest/figures.ts";
import { startNfsd, stopNfsd } from "#tests/nfs/guest/file_systems/nfs.ts";
import { killSamba, startSamba } from "#tests/nfs/guest/file_systems/smb.ts";
import { ask, modelsOf, requestsOf, runIds } from "#tests/nfs/guest/load.ts";
import type { Client } from "#tests/nfs/guest/machines.ts";
import { cutNetwork, mendNetwork } from "#tests/nfs/guest/network.ts";
import { expectOnce } from "#tests/nfs/guest/once.ts";
import { FULL, PROTOCOLS, type Protocol, titleOf, VERSIONS } from "#tests/nfs/guest/scope.ts";
import { NetworkSite } from "#tests/nfs/guest/site.ts";
import type { HttpServer, Running } from "#tests/process/site/site.ts";
import { until } from "#tests/process/site/site.ts";

const OUTAGE_MS = 15_000;
const COMMANDS = FULL ? 100 : 40;
/** The first quarter of the commands goes before the outage, the last after it. */
const LASTING_MS = 30_000;
const FIRST_MS = LASTING_MS / 4;
const TIMEOUT_S = 60;
const SIGTERM_WITHIN_MS = 10_000;
/** Of the 30 s that callers wait by default. */
const UNAVAILABLE_WITHIN_MS = 10_000;
const CLIENTS: readonly Client[] = ["c1", "c2", "c3"];

interface Outage {
  readonly name: string;
  readonly protocols: readonly Protocol[];
  readonly begin: () => Promise<unknown>;
  readonly end: () => Promise<unknown>;
}

const OUTAGES: readonly Outage[] = [
  {
    name: "the server of the share is stopped",
    protocols: PROTOCOLS,
    begin: async () => await Promise.all([stopNfsd(), killSamba()]),
    end: async () => await Promise.all([startNfsd(), startSamba()]),
  },
  {
    name: "the network swallows everything",
    protocols: FULL ? PROTOCOLS : VERSIONS,
    begin: async () => await cutNetwork(CLIENTS),
    end: async () => await mendNetwork(CLIENTS),
  },
];

const requests = requestsOf(COMMANDS, ["list", "pull", "delete"]);

interface Setting {
  readonly protocol: Protocol;
  readonly site: NetworkSite;
  readonly ollama: SimulatedOllama;
  readonly agent: Running;
  /** On the same machine; stopped during the outage. */
  readonly leaving: Running;
  readonly server: HttpServer;
}

async function prepare(site: NetworkSite, protocol: Protocol): Promise<Setting> {
  const installed = modelsOf(requests, "delete");
  const ollama = await site.ollama({ catalog: modelsOf(requests, "pull"), installed });
  const [agent, leaving, server] = await Promise.all([
    site.agent("c1", "gpu-1", ollama),
    site.agent("c1", "gpu-2", await site.ollama()),
    site.server("c2", ["--timeout", String(TIMEOUT_S)]),
  ]);
  await until(() => site.state("gpu-1")["models"] !== null, "the agent knows its models");
  expect((await server.call("GET", "/v1/agents")).status).toBe(200);
  return { protocol, site, ollama, agent, leaving, server };
}

/** What gpu-server says while the share is away, and how long it takes to say it. */
async function lookMeanwhile({ server }: Setting) {
  await Bun.sleep(FIRST_MS + 5_000);
  const startedMs = performance.now();
  const platform = await server.call("GET", "/api/config/models");
  const tookMs = Math.round(performance.now() - startedMs);
  return {
    tookMs,
    platform,
    fleet: await server.call("GET", "/v1/agents"),
    health: await server.call("GET", "/healthz"),
  };
}

async function leaveMeanwhile({ leaving }: Setting) {
  await Bun.sleep(FIRST_MS + 4_000);
  const startedMs = performance.now();
  const status = await leaving.stop();
  return { status, tookMs: Math.round(performance.now() - startedMs) };
}

async function strike({ begin, end }: Outage): Promise<void> {
  await Bun.sleep(FIRST_MS);
  await begin();
  await Bun.sleep(OUTAGE_MS);
  await end();
}

async function undergo(setting: Setting) {
  const ended = requests.map(async (request, index) => {
    await Bun.sleep((index * LASTING_MS) / COMMANDS);
    return await ask(setting.server, request, TIMEOUT_S * 1000);
  });
  const [meanwhile, left] = await Promise.all([lookMeanwhile(setting), leaveMeanwhile(setting)]);
  return { meanwhile, left, ended: await Promise.all(ended) };
}

type Undergone = Awaited<ReturnType<typeof undergo>>;

function reportUndergone({ protocol, ollama, agent }: Setting, { meanwhile, left, ended }: Undergone): void {
  const { tookMs, platform } = meanwhile;
  report(
    `${titleOf(protocol)}, meanwhile: ${platform.status} after ${tookMs} ms, ${JSON.stringify(platform.answer["detail"])}`,
  );
  report(`  SIGTERM meanwhile: ended with ${left.status} after ${left.tookMs} ms`);
  const counted = Object.entries(Object.groupBy(ended, ({ status }) => String(status)));
  const statuses = counted.map(([status, list]) => `${list?.length} with ${status}`).join(", ");
  const first = ended.filter(({ again, status }) => again.length === 0 && status === 200).length;
  const slowest = Math.round(Math.max(...ended.map((each) => each.tookMs)));
  report(`  ${ended.length} commands: ${statuses}; ${first} at the first try; slowest ${slowest} ms`);
  const { requests: calls } = ollama.counters;
  const [deletes, pulls] = [calls["DELETE /api/delete"], calls["POST /api/pull"]];
  report(`  run: ${runIds(agent).length} changing commands; Ollama saw ${deletes} deletes, ${pulls} pulls`);
  report(
    `  ${agent.log.split("\n").filter((line) => line.includes("stalled")).length} lines of the agent's log report it`,
  );
}

async function judge(setting: Setting, { meanwhile, left, ended }: Undergone): Promise<void> {
  const { platform, fleet, health, tookMs } = meanwhile;
  expect([platform.status, fleet.status, health.status]).toEqual([503, 200, 200]);
  expect(tookMs).toBeLessThan(UNAVAILABLE_WITHIN_MS);
  const stale = { agent: "gpu-1", status: "offline", reason: "share_stale", last_seen_at: expect.any(String) };
  expect(fleet.answer["agents"]).toContainEqual(expect.objectContaining(stale));
  expect(left.tookMs).toBeLessThan(SIGTERM_WITHIN_MS);
  await expectOnce(setting, requests, ended);
}

describe.each(OUTAGES)("while $name for 15 s", (outage) => {
  test(`${COMMANDS} commands are answered, each once`, async () => {
    await using sites = new AsyncDisposableStack();
    const settings = await Promise.all(
      outage.protocols.map(
        async (protocol) => await prepare(sites.use(await NetworkSite.open("outage", protocol)), protocol),
      ),
    );
    // It ends before its sites do, whatever fails.
    const striking = strike(outage);
    sites.defer(async () => await striking);
    const undergone = await Promise.all(settings.map(async (setting) => [setting, await undergo(setting)] as const));
    for (const [setting, all] of undergone) reportUndergone(setting, all);
    for (const [setting, all] of undergone) await judge(setting, all);
  }, 300_000);
});
