// What a large fleet on NATS costs its server: requests and commands while heartbeats arrive, memory, the time to a complete view
// after a start and after a restart of nats-server. Beside it: puts on a disk, and a command's round trip on NATS and on a share.
import { join } from "node:path";
import { residentMb } from "../soak/memory.ts";
import { untilGood } from "./again.ts";
import { against, type BusBounds, busBounds, memoryAgainst } from "./bus/bounds.ts";
import { measureOnDisk } from "./bus/on_disk.ts";
import { BusSite, type BusSize } from "./bus/site.ts";
import { measureProcess } from "./fleet/process_cost.ts";
import { percentile, roundTrips, type Send } from "./measure.ts";
import type { Measure } from "./report.ts";

export interface BusEffort {
  readonly restMs: number;
  readonly requests: number;
  readonly pings: number;
  readonly rounds: number;
}

const MODELS_MS = 100;
const ONE_AGENT_MS = 5;
const PING_MS = 3;
/** Between two requests: what waits behind a pause of the server must not be all there is. */
const PAUSE_MS = 10;

/** @param dir created, not removed */
export async function measureBus(dir: string, size: Omit<BusSize, "isSigned">, effort: BusEffort): Promise<Measure[]> {
  const name = `${size.agents.toLocaleString("en")} agents on NATS`;
  const bounds = busBounds(size.agents);
  return [
    ...(await measureSite(join(dir, "plain"), { ...size, isSigned: false }, effort, { name, bounds })),
    await measureSigned(join(dir, "signed"), { ...size, isSigned: true }, { name, bounds }),
    ...(await measureOnDisk(join(dir, "disk"), effort.rounds)),
  ];
}

interface Row {
  readonly name: string;
  readonly bounds: BusBounds;
}

async function measureSite(dir: string, size: BusSize, effort: BusEffort, row: Row): Promise<Measure[]> {
  const site = await BusSite.open(dir, size);
  const measures: Measure[] = [];
  try {
    measures.push(await measureStart(site, `${row.name}: complete view after a start`, row.bounds.completeMs));
    measures.push(...(await measureRest(site, effort, row)));
    measures.push(...(await untilGood(async () => await measureRequests(site, effort, row))));
    measures.push(...(await measureRestart(site, row)));
  } finally {
    const value = await site.close();
    const target = { of: "value", least: (0.98 * size.agents) / 5 } as const;
    measures.push({ name: `${row.name}: heartbeats`, unit: "/s", value, target });
  }
  return measures;
}

async function measureSigned(dir: string, size: BusSize, { name, bounds }: Row): Promise<Measure> {
  const site = await BusSite.open(dir, size);
  try {
    return await measureStart(site, `${name}, signed: complete view after a start`, bounds.signedCompleteMs);
  } finally {
    await site.close();
  }
}

async function measureStart(site: BusSite, name: string, bound: number): Promise<Measure> {
  const startedMs = performance.now();
  await site.startServer();
  await site.listed();
  await site.online();
  const tookMs = performance.now() - startedMs;
  await site.requireAll();
  return against(name, "ms", tookMs, bound);
}

async function measureRest(site: BusSite, { restMs }: BusEffort, { name, bounds }: Row): Promise<Measure[]> {
  const rest = async (): Promise<void> => await Bun.sleep(restMs);
  const [server, nats, fleet] = await Promise.all(
    [site.server.pid, site.natsPid, site.fleet.pid].map(async (pid) => await measureProcess(pid, rest)),
  );
  const [none, percent] = [Number.NaN, "%"] as const;
  return [
    against(`${name}: gpu-server, of a core`, percent, server?.cpuPercent ?? none, bounds.cpuPercent),
    memoryAgainst(`${name}: gpu-server, resident`, server?.residentMb ?? none, bounds.residentMb),
    { name: `${name}: nats-server, of a core`, unit: percent, value: nats?.cpuPercent ?? none },
    { name: `${name}: nats-server, resident`, unit: "MB", value: nats?.residentMb ?? none },
    { name: `${name}: playing the agents, of a core`, unit: percent, value: fleet?.cpuPercent ?? none },
  ];
}

async function measureRequests(site: BusSite, effort: BusEffort, { name }: Row): Promise<Measure[]> {
  const { client, oneAgent } = site;
  const models = await times(async () => await client.fetch("/v1/models?limit=100"), effort.requests);
  const one = await times(async () => await client.fetch(`/v1/agents/${oneAgent}`), effort.requests);
  const pings = await times(async () => await site.ping(), effort.pings);
  return [
    against(`${name}: /v1/models?limit=100, p99`, "ms", percentile(models, 0.99), MODELS_MS),
    against(`${name}: /v1/agents/ONE, p99`, "ms", percentile(one, 0.99), ONE_AGENT_MS),
    against(`${name}: command to a random agent, p50`, "ms", percentile(pings, 0.5), PING_MS),
    { name: `${name}: command to a random agent, p99`, unit: "ms", value: percentile(pings, 0.99) },
  ];
}

/** Of requests with a pause before each. */
async function times(send: Send, count: number): Promise<number[]> {
  const all: number[] = [];
  while (all.length < count) {
    await Bun.sleep(PAUSE_MS);
    all.push(...(await roundTrips(send, 1)));
  }
  return all;
}

/** nats-server is killed and started again: every connection comes back at once. */
async function measureRestart(site: BusSite, { name, bounds }: Row): Promise<Measure[]> {
  const startedMs = performance.now();
  await site.restartNats();
  await site.online();
  const completeMs = performance.now() - startedMs;
  const servedMs = await site.served();
  const after = residentMb(site.server.pid);
  return [
    against(`${name}: complete view after nats-server's restart`, "ms", completeMs, bounds.restartMs),
    against(`${name}: all agents served after it`, "ms", servedMs, bounds.servedMs),
    memoryAgainst(`${name}: gpu-server after it, resident`, after, bounds.residentMb),
  ];
}
