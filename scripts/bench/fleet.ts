// What a large fleet costs: requests to gpu-server against a bare server that sends the same bytes, what the server needs
// while the agents renew their states, and `gpuctl agents`.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { BareServer } from "./fleet/bare_server.ts";
import type { Effort } from "./fleet/comparison.ts";
import { timeGpuctlAgents } from "./fleet/gpuctl.ts";
import { measureGrowth, measureRoutes, measureScrape } from "./fleet/routes.ts";
import { FleetSite } from "./fleet/site.ts";
import { type Bounds, measureUpkeep, type UpkeepEffort } from "./fleet/upkeep.ts";
import type { Measure } from "./report.ts";

export interface FleetEffort extends Effort, UpkeepEffort {
  /** The median of so many counts. */
  readonly gpuctlRuns: number;
}

const SMALL_FLEET = 1000;
const UP_TO_1000: Bounds & { gpuctlMs: number } = { cpuPercent: 3, residentMb: 110, gpuctlMs: 400 };
const UP_TO_10000: Bounds & { gpuctlMs: number } = { cpuPercent: 20, residentMb: 350, gpuctlMs: 2000 };

/** @param dir created, not removed */
export async function measureFleet(
  dir: string,
  [few, many]: readonly [number, number],
  effort: FleetEffort,
): Promise<Measure[]> {
  mkdirSync(dir, { recursive: true });
  const measures: Measure[] = [];
  const small = await FleetSite.open(join(dir, "small"), few);
  try {
    measures.push(...(await measureSite(dir, small, effort)));
    // The small one goes on: what both have to do is then measured in pairs.
    const large = await FleetSite.open(join(dir, "large"), many);
    try {
      measures.push(...(await measureSite(dir, large, effort)), ...(await measureGrowth(small, large, effort)));
    } finally {
      measures.push(renewals(large, await large.close()));
    }
  } finally {
    measures.push(renewals(small, await small.close()));
  }
  return measures;
}

/** What fleets of these sizes cost, without targets. @param dir created, not removed */
export async function measureFleetCost(
  dir: string,
  sizes: readonly number[],
  effort: UpkeepEffort,
): Promise<Measure[]> {
  const measures: Measure[] = [];
  for (const agents of sizes) {
    const site = await FleetSite.open(join(dir, String(agents)), agents);
    try {
      measures.push(...(await measureUpkeep(site, effort)));
    } finally {
      await site.close();
    }
  }
  return measures;
}

async function measureSite(dir: string, site: FleetSite, effort: FleetEffort): Promise<Measure[]> {
  const { gpuctlMs, ...bounds } = site.agents <= SMALL_FLEET ? UP_TO_1000 : UP_TO_10000;
  // First, while nobody has asked for anything: what many requests leave in memory is not what a fleet needs.
  const upkeep = await measureUpkeep(site, effort, bounds);
  const bare = await BareServer.open(dir, site.token);
  try {
    const routes = [...(await measureRoutes(site, bare, effort)), await measureScrape(site, effort)];
    const value = await timeGpuctlAgents(dir, site.share, site.agents, effort.gpuctlRuns);
    const name = `${site.agents.toLocaleString("en")} agents: gpuctl agents`;
    return [...upkeep, ...routes, { name, unit: "ms", value, target: { of: "value", most: gpuctlMs } }];
  } finally {
    await bare.close();
  }
}

/** Fewer than due, and the fleet was not the one that the other rows name. */
function renewals({ agents }: FleetSite, perSecond: number): Measure {
  return {
    name: `${agents.toLocaleString("en")} agents: documents renewed`,
    unit: "/s",
    value: perSecond,
    target: { of: "value", least: (0.98 * agents) / 5 },
  };
}
