// What a sweep of many leftovers costs anyone who waits for an answer meanwhile: pings to an agent that sweeps, against pings
// to one that has nothing to sweep, in short turns.
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pacedTrips, percentile } from "./measure.ts";
import type { Measure } from "./report.ts";
import { Subject } from "./subject.ts";

const EVERY_MS = 4;
const PINGS_A_TURN = 50;
const OLD_S = 7200;
const TIMEOUT_MS = 120_000;

interface Turn {
  readonly atMs: number;
  readonly littered: readonly number[];
  readonly clean: readonly number[];
}

/**
 * @param dir where the two shares are created; not removed
 * @param leftovers the number of old responses in one folder
 */
export async function measureSweep(dir: string, leftovers: number): Promise<Measure[]> {
  leaveBehind(join(dir, "littered", "share", "gpu_status"), leftovers);
  const clean = await Subject.open(join(dir, "clean"), 1);
  const littered = await Subject.open(join(dir, "littered"), 1);
  try {
    return await pingDuringSweep(clean, littered, leftovers);
  } finally {
    await Promise.all([clean.close(), littered.close()]);
  }
}

async function pingDuringSweep(clean: Subject, littered: Subject, leftovers: number): Promise<Measure[]> {
  const sweep = { isOver: false };
  const turns: Turn[] = [];
  const pinging = async (): Promise<void> => {
    while (!sweep.isOver) turns.push(await takeTurn(clean, littered));
  };
  const swept = littered.agent.line('"Swept"', TIMEOUT_MS).finally(() => (sweep.isOver = true));
  const [{ responses, ms, time }] = await Promise.all([swept, pinging()]);
  if (responses !== leftovers) throw new Error(`The sweep removed ${String(responses)} of ${leftovers} leftovers`);
  const endedMs = Date.parse(String(time));
  const startedMs = endedMs - Number(ms);
  const meanwhile = turns.filter(({ atMs }) => atMs > startedMs && atMs < endedMs);
  return report(leftovers, Number(ms), meanwhile);
}

async function takeTurn(clean: Subject, littered: Subject): Promise<Turn> {
  const atMs = Date.now();
  return {
    atMs,
    littered: await pacedTrips(littered.ping, PINGS_A_TURN, EVERY_MS),
    clean: await pacedTrips(clean.ping, PINGS_A_TURN, EVERY_MS),
  };
}

function report(leftovers: number, ms: number, turns: readonly Turn[]): Measure[] {
  const share = (of: "littered" | "clean", part: number): number =>
    percentile(
      turns.flatMap((turn) => turn[of]),
      part,
    );
  const against = (part: number): Omit<Measure, "name"> => {
    const [value, floor] = [share("littered", part), share("clean", part)];
    return { unit: "ms", value, floor, ratio: value / floor };
  };
  const files = leftovers.toLocaleString("en");
  return [
    { name: `${files} leftovers are gone after`, unit: "ms", value: ms },
    { name: "ping meanwhile, p50, against a clean share", ...against(0.5) },
    { name: "ping meanwhile, p99, against a clean share", ...against(0.99), target: { of: "ratio", most: 3 } },
  ];
}

/** Old responses that nobody fetched. */
function leaveBehind(folder: string, count: number): void {
  mkdirSync(folder, { recursive: true });
  const seconds = Date.now() / 1000 - OLD_S;
  for (let made = 0; made < count; made++) {
    const path = join(folder, `list_models_${made}_response.json`);
    writeFileSync(path, '{"success": true, "models": []}');
    utimesSync(path, seconds, seconds);
  }
}
