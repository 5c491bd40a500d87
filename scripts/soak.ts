// `npm run soak`: 50 commands a second for ten minutes. Every command is answered, memory stays flat, and nothing is left on
// the share, or on NATS, but what the protocol says.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { formatTable } from "#src/client/output/table.ts";
import { Courier } from "#src/courier.ts";
import { openTransport } from "#src/transport/open.ts";
import type { Transport } from "#src/transport.ts";
import { provideNatsServer } from "#tests/support/nats/nats_binary.ts";
import { NatsServer } from "#tests/support/nats/nats_server.ts";
import { findLeftovers, type Leftover } from "./soak/leftovers.ts";
import { type Kind, kindsOf, sendFor } from "./soak/load.ts";
import { MemoryTrace } from "./soak/memory.ts";
import { findNatsLeftovers } from "./soak/nats_leftovers.ts";
import { AGENT, PULLING, SoakSite } from "./soak/site.ts";

const USAGE = `usage: npm run soak [-- [--nats] [--seconds N]]
  --nats     over a nats-server of its own instead of a share
  --seconds  how long commands are sent, after half a minute in which all gets warm (default: 600)
`;
/**
 * A new process grows until it has compiled what it runs and its heap has found its size: over some thousands of commands,
 * measured. So it gets 5,000 before its memory counts, at five times the rate, and some more at the rate, to let go of what
 * that took.
 */
const WARM_UP = { seconds: 20, times: 5, thenSeconds: 10 };
/** Of the first quarter. Memory that falls is let go of by the warm-up, or by the collector. */
const MOST_GROWTH = 0.1;
const ATTEMPTS = 3;
/** An old pull or delete is removed when it is 5 s old. */
const REST_MS = 8_000;

type Row = readonly [what: string, seen: string, due: string, isGood: boolean];

async function soak(dir: string, seconds: number, nats: NatsServer | null): Promise<readonly Row[]> {
  const site = await SoakSite.open(dir, nats?.url ?? null);
  const transport = openTransport(site.address, { create: "never", watch: "auto", clock: systemClock, log: silentLog });
  try {
    await transport.connect();
    return await soakSite(site, transport, seconds, nats !== null);
  } finally {
    await transport.close();
    await site.close();
  }
}

async function soakSite(
  site: SoakSite,
  transport: Transport,
  seconds: number,
  isOnNats: boolean,
): Promise<readonly Row[]> {
  const { address, serverUrl, token } = site;
  const share = isOnNats ? null : address;
  const courier = new Courier(transport, { sender: "soak", timeoutMs: 30_000 });
  const kinds = kindsOf({ courier, serverUrl, token, share, agent: AGENT, pulling: PULLING });
  await sendFor(kinds, WARM_UP.seconds, WARM_UP.times);
  await sendFor(kinds, WARM_UP.thenSeconds);
  const traces = await untilFlat(async () => await traced(site, async () => await sendFor(kinds, seconds)));
  await Bun.sleep(REST_MS);
  await courier.close();
  await site.server.stop();
  if (share === null) {
    const left = await findNatsLeftovers(address, AGENT);
    return [...kinds.map(kindRow), ...memoryRows(traces), ...left.map(leftoverRow)];
  }
  const oldDeletes = kinds.find(({ name }) => name === "old delete")?.sent ?? 0;
  return [...kinds.map(kindRow), ...memoryRows(traces), ...findLeftovers(share, AGENT, oldDeletes).map(leftoverRow)];
}

type Traces = readonly [MemoryTrace, MemoryTrace];

/** The collector lets memory rise and fall by a tenth at random; what leaks grows each time. So growth is measured again. */
async function untilFlat(measure: () => Promise<Traces>): Promise<Traces> {
  for (let attempt = 1; ; attempt++) {
    const traces = await measure();
    if (traces.every(isFlat) || attempt === ATTEMPTS) return traces;
    const grown = traces.map(({ quarters }) => quarters.map((megabytes) => megabytes.toFixed(1)).join(", "));
    process.stderr.write(`Again: memory of gpu-agent and gpu-server, MB by quarter: ${grown.join("; ")}\n`);
  }
}

async function traced({ agent, server }: SoakSite, load: () => Promise<void>): Promise<Traces> {
  const traces = [new MemoryTrace(agent.pid), new MemoryTrace(server.pid)] as const;
  await load();
  for (const trace of traces) trace.stop();
  return traces;
}

function isFlat({ growth }: MemoryTrace): boolean {
  return growth - 1 <= MOST_GROWTH;
}

function kindRow({ name, sent, answered, failure }: Kind): Row {
  return [name, failure ?? `${answered} answered`, `${sent}`, answered === sent];
}

function memoryRows([agent, server]: Traces): readonly Row[] {
  return [memoryRow("gpu-agent", agent), memoryRow("gpu-server", server)];
}

function memoryRow(name: string, trace: MemoryTrace): Row {
  const shown = trace.quarters.map((megabytes) => megabytes.toFixed(1)).join(", ");
  return [
    `memory of ${name}, MB by quarter`,
    shown,
    `the last at most ${MOST_GROWTH * 100} % above the first`,
    isFlat(trace),
  ];
}

function leftoverRow({ what, count, least, most, reason }: Leftover): Row {
  return [`left: ${what}`, String(count), reason ?? "nothing", count >= least && count <= most];
}

const { values } = parseArgs({
  options: {
    nats: { type: "boolean" },
    seconds: { type: "string", default: "600" },
    help: { type: "boolean", short: "h" },
  },
});
const seconds = Number(values.seconds);
if (values.help === true || !(seconds > 0)) {
  process.stdout.write(USAGE);
  process.exit(values.help === true ? 0 : 64);
}
if (values.nats === true) await provideNatsServer();
const nats = values.nats === true ? await NatsServer.start() : null;
const dir = await mkdtemp(join(tmpdir(), "gpu-courier-soak-"));
try {
  const rows = await soak(dir, seconds, nats);
  const titles = ["MEASURE", "SEEN", "DUE", "RESULT"].map((title) => ({ title }));
  process.stdout.write(
    formatTable(
      titles,
      rows.map(([what, seen, due, good]) => [what, seen, due, good ? "ok" : "FAIL"]),
      Infinity,
    ),
  );
  process.exitCode = rows.every(([, , , isGood]) => isGood) ? 0 : 1;
} finally {
  await nats?.stop();
  await rm(dir, { recursive: true, force: true });
}
