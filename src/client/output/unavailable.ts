// Notes about the agents that a list does not include.
import type { Unavailable } from "../../courier/unavailable.ts";
import type { Printer } from "./printer.ts";

/** Prints on stderr the agents that a list does not include, and why. */
export function noteUnavailable(printer: Printer, unavailable: readonly Unavailable[]): void {
  for (const each of unavailable) printer.note(describeUnavailable(each));
}

export function describeUnavailable({ agent, reason }: Unavailable): string {
  return `${agent} not included: ${reason}`;
}
