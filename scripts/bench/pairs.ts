// The courier against the floor, in short turns: what else the machine does hits both alike, and the median of the turns'
// ratios is the ratio.
import { join } from "node:path";
import { Floor } from "./floor.ts";
import { median, percentile, roundTrips, type Send, throughput } from "./measure.ts";
import type { Measure, Target } from "./report.ts";
import { Subject, WITHOUT_KEY } from "./subject.ts";

export interface Effort {
  readonly rounds: number;
  readonly roundTrips: number;
  readonly pipelined: number;
}

/** Under way at a time when pipelined. */
const WINDOW = 64;
const WARM_UP = 200;
const FEW = 10;
const MANY = 10_000;

/**
 * The floor is mostly the disk's: 0.09 ms in memory, 0.17 to 1.4 ms on one disk within an hour. What the courier adds to it
 * hardly changes: 0.5 to 0.9 ms. A slower or busy machine may take longer.
 * @see docs/decisions/0042-pings-are-judged-by-what-they-add.md
 */
const PING: Target = { of: "ratio", most: 3, orMoreBy: 1.5 };

/** @param dir where the shares are created; not removed */
export async function measurePairs(dir: string, effort: Effort): Promise<Measure[]> {
  const floor = await Floor.open(join(dir, "floor"));
  // What signatures add is another part: signatures.ts.
  const unsigned = await Subject.open(join(dir, "unsigned"), FEW, { command: WITHOUT_KEY });
  const few = await Subject.open(join(dir, "few"), FEW);
  const many = await Subject.open(join(dir, "many"), MANY);
  for (const send of [floor.request, unsigned.ping, unsigned.listModels, few.ping, many.ping]) {
    await roundTrips(send, WARM_UP);
    await throughput(send, WARM_UP, WINDOW);
  }
  const latency = await measureLatency(floor, unsigned, effort);
  const rates = await measureRates(floor, few, many, effort);
  await Promise.all([floor.close(), unsigned.close(), few.close(), many.close()]);
  return [...latency, ...rates];
}

async function measureLatency(floor: Floor, subject: Subject, effort: Effort): Promise<Measure[]> {
  const turn = async (send: Send): Promise<number[]> => {
    // Anyone who had no turn for a while begins slowly.
    await roundTrips(send, effort.roundTrips / 4);
    return await roundTrips(send, effort.roundTrips);
  };
  const rounds: { floor: number[]; ping: number[]; list: number[] }[] = [];
  for (let round = 0; round < effort.rounds; round++)
    rounds.push({
      floor: await turn(floor.request),
      ping: await turn(subject.ping),
      list: await turn(subject.listModels),
    });
  const against = (what: "ping" | "list", share: number): Omit<Measure, "name"> => {
    const of = (side: "floor" | "ping" | "list"): number =>
      percentile(
        rounds.flatMap((round) => round[side]),
        share,
      );
    const ratios = rounds.map((round) => percentile(round[what], share) / percentile(round.floor, share));
    return { unit: "ms", value: of(what), floor: of("floor"), ratio: median(ratios) };
  };
  return [
    { name: "ping round trip, unsigned, p50", ...against("ping", 0.5), target: PING },
    { name: "ping round trip, unsigned, p99", ...against("ping", 0.99) },
    { name: "list_models round trip, unsigned, p50", ...against("list", 0.5) },
    { name: "list_models round trip, unsigned, p99", ...against("list", 0.99) },
  ];
}

async function measureRates(floor: Floor, few: Subject, many: Subject, effort: Effort): Promise<Measure[]> {
  const rate = async (send: Send): Promise<number> => await throughput(send, effort.pipelined, WINDOW);
  const rounds: { floor: number; few: number; many: number }[] = [];
  for (let round = 0; round < effort.rounds; round++)
    rounds.push({ floor: await rate(floor.request), few: await rate(few.ping), many: await rate(many.ping) });
  const against = (what: "few" | "many"): Omit<Measure, "name"> => ({
    unit: "ms",
    value: msEach(rounds.map((round) => round[what])),
    floor: msEach(rounds.map((round) => round.floor)),
    ratio: median(rounds.map((round) => round.floor / round[what])),
    target: PING,
  });
  return [
    { name: `each of ${WINDOW} pings at once, 10 idle files`, ...against("few") },
    { name: `each of ${WINDOW} pings at once, 10,000 idle files`, ...against("many") },
    {
      name: "pings a second, 10,000 files against 10",
      unit: "/s",
      value: median(rounds.map(({ many: rateOfMany }) => rateOfMany)),
      floor: median(rounds.map(({ few: rateOfFew }) => rateOfFew)),
      ratio: median(rounds.map((round) => round.many / round.few)),
      target: { of: "ratio", least: 0.7 },
    },
  ];
}

/** The share of one in the time that they all took. */
function msEach(perSecond: readonly number[]): number {
  return 1000 / median(perSecond);
}
