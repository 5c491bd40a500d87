// Merges the loaded models of several agents into one list.
import type { RunningModel } from "../protocol.ts";
import type { Unavailable } from "./unavailable.ts";

export interface AgentRunning {
  readonly agent: string;
  readonly running: readonly RunningModel[];
}

/** One entry per model and agent, sorted by name. */
export interface FleetRunning {
  readonly running: readonly (RunningModel & { readonly agent: string })[];
  readonly unavailable: readonly Unavailable[];
}

export function mergeRunning(held: readonly AgentRunning[]): FleetRunning["running"] {
  const merged = held.flatMap(({ agent, running }) => running.map((model) => ({ agent, ...model })));
  return merged.toSorted((a, b) => compare(a.name, b.name) || compare(a.agent, b.agent));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
