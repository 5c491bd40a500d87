// Notes about the agents that a list does not include.
import type { Unavailable } from "../../courier/unavailable.ts";
import { rangesText } from "./agent_names.ts";
import type { Printer } from "./printer.ts";

/** More are one line without their reasons. */
const NAMED = 3;

/** Prints on stderr the agents that a list does not include, and why. */
export function noteUnavailable(printer: Printer, unavailable: readonly Unavailable[]): void {
  for (const line of unavailableLines(unavailable, printer.width)) printer.note(line);
}

/**
 * A line for each of a few, or one for many.
 * @param width in columns
 */
export function unavailableLines(unavailable: readonly Unavailable[], width: number): string[] {
  if (unavailable.length <= NAMED) return unavailable.map(describeUnavailable);
  const count = `${unavailable.length} agents not included`;
  const hint = "gpuctl agents shows why";
  const whole = `${count}: ${rangesText(unavailable.map(({ agent }) => agent))} (${hint})`;
  return [whole.length < width ? whole : `${count} (${hint})`];
}

export function describeUnavailable({ agent, reason }: Unavailable): string {
  return `${agent} not included: ${reason}`;
}
