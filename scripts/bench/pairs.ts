// The courier against the floor, in turns, so that what else the machine does hits both alike. Imports the measuring.
import { join } from "node:path";
import { Floor } from "./floor.ts";
import { median, percentile, roundTrips, type Send, throughput } from "./measure.ts";
import type { Measure } from "./report.ts";
import { Subject } from "./subject.ts";

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

/** @param dir where shares come to lie; not removed */
export async function measurePairs(dir: string, effort: Effort): Promise<Measure[]> {
  const floor = await Floor.open(join(dir, "floor"));
  const few = await Subject.open(join(dir, "few"), FEW);
  const many = await Subject.open(join(dir, "many"), MANY);
  for (const send of [floor.request, few.ping, few.listModels, many.ping]) {
    await roundTrips(send, WARM_UP);
    await throughput(send, WARM_UP, WINDOW);
  }
  const latency = await measureLatency(floor, few, effort);
  const rates = await measureRates(floor, few, many, effort);
  await Promise.all([floor.close(), few.close(), many.close()]);
  return [...latency, ...rates];
}

async function measureLatency(floor: Floor, subject: Subject, effort: Effort): Promise<Measure[]> {
  const bare: number[] = [];
  const pings: number[] = [];
  const lists: number[] = [];
  for (let round = 0; round < effort.rounds; round++) {
    bare.push(...(await roundTrips(floor.request, effort.roundTrips)));
    pings.push(...(await roundTrips(subject.ping, effort.roundTrips)));
    lists.push(...(await roundTrips(subject.listModels, effort.roundTrips / 4)));
  }
  const against = (name: string, samples: readonly number[], share: number, most?: number): Measure => {
    const [value, least] = [percentile(samples, share), percentile(bare, share)];
    const target = most === undefined ? {} : { target: { of: "ratio" as const, most } };
    return { name, unit: "ms", value, floor: least, ratio: value / least, ...target };
  };
  return [
    against("ping round trip, p50", pings, 0.5, 3),
    against("ping round trip, p99", pings, 0.99),
    against("list_models round trip, p50", lists, 0.5),
    against("list_models round trip, p99", lists, 0.99),
  ];
}

async function measureRates(floor: Floor, few: Subject, many: Subject, effort: Effort): Promise<Measure[]> {
  const rate = async (send: Send): Promise<number> => await throughput(send, effort.pipelined, WINDOW);
  const rounds: { floor: number; few: number; many: number }[] = [];
  for (let round = 0; round < effort.rounds; round++)
    rounds.push({
      floor: await rate(floor.request),
      few: await rate(few.ping),
      many: await rate(many.ping),
    });
  const [bare, atFew, atMany] = [
    median(rounds.map((round) => round.floor)),
    median(rounds.map((round) => round.few)),
    median(rounds.map((round) => round.many)),
  ];
  const least = { of: "ratio", least: 1 / 3 } as const;
  const flat = { of: "ratio", least: 0.7 } as const;
  const name = (lying: number): string => `pings pipelined, ${lying.toLocaleString("en")} files lying there`;
  return [
    { name: name(FEW), unit: "/s", value: atFew, floor: bare, ratio: atFew / bare, target: least },
    { name: name(MANY), unit: "/s", value: atMany, floor: bare, ratio: atMany / bare, target: least },
    {
      name: "the same rate at 10,000 as at 10",
      unit: "/s",
      value: atMany,
      floor: atFew,
      ratio: atMany / atFew,
      target: flat,
    },
  ];
}
