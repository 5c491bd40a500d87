// What a fleet on NATS may cost, by its size. The bounds are those of 100,000 agents; smaller fleets have them in proportion, on top
// of what any server needs.
import type { Measure } from "../report.ts";

const FULL = 100_000;
/** A slow or busy machine may take so many times as long. */
const SLACK = 5;

/** @param base of a server without agents @param most with 100,000 */
function inProportion(agents: number, base: number, most: number): number {
  return base + ((most - base) * agents) / FULL;
}

export interface BusBounds {
  readonly cpuPercent: number;
  readonly residentMb: number;
  /** From the start of gpu-server to a view in which every agent is as it is. */
  readonly completeMs: number;
  readonly signedCompleteMs: number;
  /** From the end of nats-server to that view. */
  readonly restartMs: number;
  /** From the end of nats-server until each agent has seen its inbox again. */
  readonly servedMs: number;
}

export function busBounds(agents: number): BusBounds {
  return {
    cpuPercent: inProportion(agents, 10, 100),
    residentMb: inProportion(agents, 170, 1500),
    completeMs: inProportion(agents, 2_000, 10_000),
    signedCompleteMs: inProportion(agents, 2_000, 25_000),
    restartMs: inProportion(agents, 2_000, 30_000),
    servedMs: inProportion(agents, 2_000, 60_000),
  };
}

/** A figure against its bound, which it may exceed by the slack. */
export function against(name: string, unit: Measure["unit"], value: number, bound: number): Measure {
  const digits = bound >= 100 ? 0 : 1;
  const shown = `${bound.toFixed(digits)} ${unit}`;
  return { name: `${name}, against ${shown}`, unit, value, ratio: value / bound, target: { of: "ratio", most: SLACK } };
}

/** As `against()`, of memory, which does not depend on how busy the machine is: nothing more than the bound. */
export function memoryAgainst(name: string, megabytes: number, bound: number): Measure {
  return { ...against(name, "MB", megabytes, bound), target: { of: "ratio", most: 1 } };
}
