// `npm run bench`: what the courier costs compared with the bare floor, what a sweep costs a sender that waits meanwhile, what
// an idle agent costs its box, what a large fleet costs its server, on a share and on NATS, and what clients of Ollama wait for.
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { NATS_VARIABLE, provideNatsServer } from "#tests/support/nats/nats_binary.ts";
import { untilGood } from "./bench/again.ts";
import { type AgentCost, measureAgent } from "./bench/agent_cost.ts";
import { measureBus } from "./bench/bus.ts";
import { measureClients } from "./bench/clients.ts";
import { measureFleet, measureFleetCost } from "./bench/fleet.ts";
import { measurePairs } from "./bench/pairs.ts";
import { measurePull } from "./bench/pull.ts";
import { formatJson, formatReport, type Measure, resultOf } from "./bench/report.ts";
import { measureSignatures } from "./bench/signatures.ts";
import { measureSweep } from "./bench/sweeping.ts";

const USAGE = `usage: npm run bench [-- --quick] [-- --json] [-- --only PART[,PART]]
  --quick  fewer rounds, for CI
  --json   one JSON document
  --only   only these parts: pairs, signatures, sweep, pull, agent, clients, fleet, bus, fleet-cost
           clients compares with a real Ollama where OLLAMA_TEST_URL names one
           bus runs on a nats-server, which it gets as npm run test:nats does
           fleet-cost, what fleets of four sizes cost their server, runs only when it is named
A ratio off its target makes the exit status 1; absolute figures, which depend on the machine, are only printed.
`;
/** Of one part. No event may be lost: a request that nobody answers would wait forever. */
const LIMIT_MS = 900_000;
const LEFTOVERS = 50_000;
const PULL_BYTES = 1_500_000_000;

type Part = (dir: string, quick: boolean) => Promise<Measure[]>;

const PARTS: Readonly<Record<string, Part>> = {
  pairs: async (dir, quick) => {
    const effort = { rounds: quick ? 12 : 40, roundTrips: 80, pipelined: quick ? 400 : 800 };
    return await untilGood(async (attempt) => await measurePairs(join(dir, `pairs-${attempt}`), effort));
  },
  signatures: async (dir, quick) => {
    const effort = { rounds: quick ? 12 : 40, roundTrips: 80 };
    return await untilGood(async (attempt) => await measureSignatures(join(dir, `signatures-${attempt}`), effort));
  },
  sweep: async (dir) =>
    await untilGood(async (attempt) => await measureSweep(join(dir, `sweep-${attempt}`), LEFTOVERS)),
  pull: async (dir, quick) =>
    await untilGood(async (attempt) => await measurePull(join(dir, `pull-${attempt}`), PULL_BYTES, quick ? 3 : 7)),
  agent: async (dir, quick) =>
    agentMeasures(await measureAgent(join(dir, "agent"), quick ? 3 : 7, quick ? 5000 : 15_000)),
  clients: async (dir, quick) =>
    await untilGood(
      async (attempt) =>
        await measureClients(join(dir, `clients-${attempt}`), { rounds: quick ? 8 : 40, requests: quick ? 100 : 200 }),
    ),
  fleet: async (dir, quick) =>
    quick
      ? await measureFleet(join(dir, "fleet"), [300, 1000], QUICK_FLEET)
      : await measureFleet(join(dir, "fleet"), [1000, 10_000], FLEET),
  bus: async (dir, quick) => {
    if (!(await hasNatsServer())) return [];
    return quick
      ? await measureBus(join(dir, "bus"), { agents: 2000, connections: 40, answering: 40 }, QUICK_BUS)
      : await measureBus(join(dir, "bus"), { agents: 100_000, connections: 200, answering: 200 }, BUS);
  },
  "fleet-cost": async (dir, quick) =>
    await measureFleetCost(join(dir, "fleet-cost"), [10, 100, 1000, ...(quick ? [] : [10_000])], {
      restMs: 15_000,
      askingMs: 15_000,
      tracingMs: 10_000,
    }),
};
/** They read /proc. */
const LINUX_ONLY = ["pull", "agent", "fleet", "bus", "fleet-cost"];
const ONLY_WHEN_NAMED = ["fleet-cost"];

const FLEET = { pairs: 200, budgetMs: 6000, restMs: 60_000, askingMs: 15_000, tracingMs: 10_000, gpuctlRuns: 5 };
const QUICK_FLEET = { pairs: 200, budgetMs: 1000, restMs: 15_000, askingMs: 5000, tracingMs: 0, gpuctlRuns: 3 };
const BUS = { restMs: 15_000, requests: 300, pings: 500, rounds: 20 };
const QUICK_BUS = { restMs: 5000, requests: 200, pings: 200, rounds: 5 };

/** In CI nothing is left out. */
async function hasNatsServer(): Promise<boolean> {
  try {
    process.env[NATS_VARIABLE] = await provideNatsServer();
    return true;
  } catch (error) {
    if (process.env["CI"] !== undefined) throw error;
    process.stderr.write(`Left out: bus. ${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  }
}

function isPart(name: string): boolean {
  return Object.hasOwn(PARTS, name);
}

/** Without those that this platform cannot run. */
function chosenParts(names: readonly string[]): readonly Part[] {
  const runnable = names.filter((name) => process.platform === "linux" || !LINUX_ONLY.includes(name));
  return runnable.flatMap((name) => PARTS[name] ?? []);
}

async function measureWithin(part: Part, dir: string, quick: boolean): Promise<Measure[]> {
  const limit = setTimeout(() => {
    process.stderr.write(`Cannot finish: over ${LIMIT_MS / 60_000} min, an answer is lost or the machine too busy\n`);
    process.exit(1);
  }, LIMIT_MS);
  try {
    return await part(dir, quick);
  } finally {
    clearTimeout(limit);
  }
}

function agentMeasures({ readyMs, residentMb, cpuPercent }: AgentCost): Measure[] {
  return [
    { name: "agent ready after", unit: "ms", value: readyMs, target: { of: "value", most: 300 } },
    { name: "agent idle, resident", unit: "MB", value: residentMb, target: { of: "value", most: 60 } },
    { name: "agent idle, of a core", unit: "%", value: cpuPercent, target: { of: "value", most: 0.5 } },
  ];
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
const names = values.only?.split(",") ?? Object.keys(PARTS).filter((name) => !ONLY_WHEN_NAMED.includes(name));
if (values.help || !names.every(isPart)) {
  process.stdout.write(USAGE);
  process.exit(values.help ? 0 : 64);
}
const dir = await mkdtemp(join(tmpdir(), "gpu-courier-bench-"));
// Also at the time limit, and when it is interrupted.
process.on("exit", () => rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));
const measures: Measure[] = [];
for (const part of chosenParts(names)) measures.push(...(await measureWithin(part, dir, values.quick)));
process.stdout.write(values.json ? formatJson(measures) : formatReport(measures));
process.exitCode = measures.some((each) => resultOf(each) === "FAIL") ? 1 : 0;
