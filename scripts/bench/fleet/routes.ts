// The rows about requests: gpu-server against a bare server that sends the same bytes, and a large fleet against a small one.
import { systemClock } from "#src/base/clock.ts";
import { untilGood } from "../again.ts";
import type { Measure, Target } from "../report.ts";
import type { BareServer } from "./bare_server.ts";
import type { Client } from "./client.ts";
import { comparePairs, type Effort, type Probe, takePairs } from "./comparison.ts";
import type { FleetSite } from "./site.ts";

interface Route {
  readonly path: string;
  /** With `ONE` in place of the agent's name. */
  readonly shown: string;
  readonly p50: Target;
  readonly p99?: Target;
}

const PAGES = ["/v1/agents?limit=100", "/v1/models?limit=100", "/v1/jobs?limit=100", "/api/config/models"] as const;
const OF_ONE_AGENT = ["/v1/agents/ONE", "/v1/agents/ONE/models"] as const;
const WHOLE_LISTS = ["/v1/agents?limit=10000", "/v1/models?limit=10000"] as const;
const CONDITIONAL = ["/v1/agents?limit=100", "/v1/models?limit=100"] as const;

/** Some requests meet a turn of the server's reading loop, and must not wait long for it. */
const SMALL = { p50: { of: "ratio", most: 3 }, p99: { of: "ratio", most: 3, orMoreBy: 3 } } as const;
const WHOLE = { p50: { of: "ratio", most: 5 } } as const;
const LARGER_FLEET: Target = { of: "ratio", most: 1.3 };
/** A list changes all the time: the next conditional request gets the new one, and only the one after that a 304. */
const TRIES = 5;
/** So many times the pairs that count are taken before them: code that is not compiled yet takes longer. */
const WARM_UP = 2;

/** Of 1,000 boxes: a scrape may take this long, or this many times as long as their list, which is there already. */
const SCRAPE = { ms: 100, ratio: 25 };

/** A scrape against the list of all agents by gpu-server itself. Larger fleets in proportion. */
export async function measureScrape({ agents, client }: FleetSite, effort: Effort): Promise<Measure> {
  const list = fetching(client, "/v1/agents?limit=10000");
  const pairs = await takePairs(list, madeAgain(fetching(client, "/metrics")), effort);
  const orMoreBy = (SCRAPE.ms * agents) / 1_000;
  const name = `${formatCount(agents)} agents: /metrics against the list, p50`;
  return { name, ...comparePairs(pairs, 0.5), target: { of: "ratio", most: SCRAPE.ratio, orMoreBy } };
}

/** p50 and p99 of each route. */
export async function measureRoutes(site: FleetSite, bare: BareServer, effort: Effort): Promise<Measure[]> {
  const routes = [
    ...[...PAGES, ...OF_ONE_AGENT].map((shown): Route => ({ ...SMALL, ...routeTo(site, shown) })),
    ...WHOLE_LISTS.map((shown): Route => ({ ...WHOLE, ...routeTo(site, shown) })),
  ];
  const measures: Measure[] = [];
  for (const route of routes)
    measures.push(...(await untilGood(async () => await measureRoute(route, site, bare, effort))));
  return measures;
}

async function measureRoute(
  { path, shown, p50, p99 }: Route,
  { agents, client }: FleetSite,
  bare: BareServer,
  effort: Effort,
): Promise<Measure[]> {
  await bare.hold(path, await client.fetch(path));
  const [floor, subject] = [fetching(bare.client, path), fetching(client, path)];
  await takePairs(floor, subject, { ...effort, pairs: WARM_UP * effort.pairs });
  const pairs = await takePairs(floor, subject, effort);
  const name = `${formatCount(agents)} agents: ${shown}`;
  return [
    { name: `${name}, p50`, ...comparePairs(pairs, 0.5), target: p50 },
    { name: `${name}, p99`, ...comparePairs(pairs, 0.99), ...(p99 === undefined ? {} : { target: p99 }) },
  ];
}

/** Requests whose cost must not depend on the size of the fleet, in pairs of one to either server. */
export async function measureGrowth(small: FleetSite, large: FleetSite, effort: Effort): Promise<Measure[]> {
  const sizes = `${formatCount(large.agents)} agents against ${formatCount(small.agents)}`;
  const compare = async (name: string, probe: (site: FleetSite) => Probe): Promise<Measure[]> => {
    return await untilGood(async () => {
      const pairs = await takePairs(probe(small), probe(large), effort);
      return [{ name: `${sizes}: ${name}, p50`, ...comparePairs(pairs, 0.5), target: LARGER_FLEET }];
    });
  };
  const measures: Measure[] = [];
  for (const shown of OF_ONE_AGENT)
    measures.push(...(await compare(shown, (site) => fetching(site.client, routeTo(site, shown).path))));
  for (const path of CONDITIONAL)
    measures.push(...(await compare(`304 for ${path}`, ({ client }) => fetchingUnchanged(client, path))));
  return measures;
}

function routeTo(site: FleetSite, shown: string): { path: string; shown: string } {
  return { path: shown.replace("ONE", site.oneAgent), shown };
}

function fetching(client: Client, path: string): Probe {
  return async () => {
    const startedMs = performance.now();
    await client.fetch(path);
    return performance.now() - startedMs;
  };
}

/** What took long to make is sent again for up to 20 times as long, and 5 s at most. */
function madeAgain(probe: Probe): Probe {
  let restMs = 0;
  return async () => {
    await systemClock.sleep(restMs);
    const ms = await probe();
    restMs = Math.min(21 * (ms ?? 0), 5_100);
    return ms;
  };
}

/** Only a 304 counts, and without an `ETag` there is never one. */
function fetchingUnchanged(client: Client, path: string): Probe {
  let etag: string | null = null;
  return async () => {
    for (let tried = 0; tried < TRIES; tried++) {
      const startedMs = performance.now();
      const answer = await client.fetch(path, etag ?? undefined);
      if (answer.status === 304) return performance.now() - startedMs;
      etag = answer.etag;
      if (etag === null) return undefined;
    }
    return undefined;
  };
}

function formatCount(agents: number): string {
  return agents.toLocaleString("en");
}
