// The rows about what a fleet costs while it is served: the server at rest, and with one list a second asked for.
import type { Measure } from "../report.ts";
import { countFileCalls } from "./file_calls.ts";
import { measureProcess, type ProcessCost } from "./process_cost.ts";
import type { FleetSite } from "./site.ts";

export interface UpkeepEffort {
  readonly restMs: number;
  readonly askingMs: number;
  /** For each of both. 0: file calls are not counted. */
  readonly tracingMs: number;
}

export interface Bounds {
  readonly cpuPercent: number;
  readonly residentMb: number;
}

/** What a start costs, with the compiling of what runs often, is over by then. */
const SETTLE_MS = 3000;
const ASKED = "/v1/models?limit=100";
const EVERY_MS = 1000;

/** @param bounds of the server at rest */
export async function measureUpkeep(site: FleetSite, effort: UpkeepEffort, bounds?: Bounds): Promise<Measure[]> {
  const { restMs, askingMs, tracingMs } = effort;
  const { pid } = site.server;
  const rest = async (ms: number): Promise<void> => await Bun.sleep(ms);
  const ask = async (ms: number): Promise<void> => await askEachSecond(site, ms);
  await Bun.sleep(SETTLE_MS);
  const writing = measureProcess(site.writer.pid, async () => await rest(restMs));
  const resting = await measureProcess(pid, async () => await rest(restMs));
  const asking = await measureProcess(pid, async () => await ask(askingMs));
  const name = `${site.agents.toLocaleString("en")} agents`;
  return [
    ...costRows(`${name}, nobody asks`, resting, bounds),
    ...(await fileCallRows(`${name}, nobody asks`, pid, tracingMs, rest)),
    ...costRows(`${name}, ${ASKED} each second`, asking),
    ...(await fileCallRows(`${name}, ${ASKED} each second`, pid, tracingMs, ask)),
    { name: `${name}: renewing their documents, of a core`, unit: "%", value: (await writing).cpuPercent },
  ];
}

function costRows(name: string, { cpuPercent, residentMb }: ProcessCost, bounds?: Bounds): Measure[] {
  const cpu = bounds && { target: { of: "value", most: bounds.cpuPercent } as const };
  const memory = bounds && { target: { of: "value", most: bounds.residentMb } as const };
  return [
    { name: `${name}: server, of a core`, unit: "%", value: cpuPercent, ...cpu },
    { name: `${name}: server, resident`, unit: "MB", value: residentMb, ...memory },
  ];
}

async function fileCallRows(
  name: string,
  pid: number,
  ms: number,
  meanwhile: (ms: number) => Promise<void>,
): Promise<Measure[]> {
  if (ms === 0) return [];
  const [calls] = await Promise.all([countFileCalls(pid, ms), meanwhile(ms)]);
  if (calls !== undefined) return [{ name: `${name}: server, file calls`, unit: "/s", value: calls }];
  process.stderr.write(`Left out: ${name}: server, file calls. strace is not installed, or may not attach\n`);
  return [];
}

/** One after the other: the next one is late when an answer takes longer than a second. */
async function askEachSecond({ client }: FleetSite, ms: number): Promise<void> {
  const startedMs = performance.now();
  for (let dueMs = startedMs; dueMs < startedMs + ms; dueMs = Math.max(dueMs + EVERY_MS, performance.now())) {
    await Bun.sleep(Math.max(0, dueMs - performance.now()));
    await client.fetch(ASKED);
  }
  await Bun.sleep(Math.max(0, startedMs + ms - performance.now()));
}
