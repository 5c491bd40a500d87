// The courier against the floor, in short turns: what else the machine does hits both alike, and the median of the turns'
// ratios is the ratio.
import { join } from "node:path";
import { Floor } from "./floor.ts";
import { median, percentile, roundTrips, type Send, throughput } from "./measure.ts";
import type { Measure } from "./report.ts";
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
    { name: "ping round trip, unsigned, p50", ...against("ping", 0.5), target: { of: "ratio", most: 3 } },
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
  const against = (what: "few" | "many", other: "floor" | "few"): Omit<Measure, "name"> => ({
    unit: "/s",
    value: median(rounds.map((round) => round[what])),
    floor: median(rounds.map((round) => round[other])),
    ratio: median(rounds.map((round) => round[what] / round[other])),
  });
  const least = { of: "ratio", least: 1 / 3 } as const;
  return [
    { name: "pings pipelined, 10 idle files", ...against("few", "floor"), target: least },
    { name: "pings pipelined, 10,000 idle files", ...against("many", "floor"), target: least },
    { name: "10,000 files against 10", ...against("many", "few"), target: { of: "ratio", least: 0.7 } },
  ];
}
