// Merges the loaded models of several agents into one list.
import { compareTexts } from "../base/order.ts";
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
  return merged.toSorted((a, b) => compareTexts(a.name, b.name) || compareTexts(a.agent, b.agent));
}
