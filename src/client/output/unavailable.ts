// Notes about the agents that a list does not include, or that a verb could not ask.

import type { CourierError } from "../../base/errors.ts";
import { rangesText } from "../../base/order.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { awayEntry, type Unavailable } from "../../courier/unavailable.ts";
import type { LastSeen } from "./last_seen.ts";
import type { Printer } from "./printer.ts";

/** More are one line without their reasons. */
const NAMED = 3;

/** Prints on stderr the agents that a list does not include, and why. */
export function noteUnavailable(printer: Printer, unavailable: readonly Unavailable[], what: What = "included"): void {
  for (const line of unavailableLines(unavailable, printer.width, what)) printer.note(line);
}

/** In a list, or among those that were asked. */
type What = "included" | "asked";

/**
 * A line for each of a few, or one for many.
 * @param width in columns
 */
export function unavailableLines(
  unavailable: readonly Unavailable[],
  width: number,
  what: What = "included",
): string[] {
  if (unavailable.length <= NAMED) return unavailable.map((each) => describeUnavailable(each, what));
  const count = `${unavailable.length} agents not ${what}`;
  const hint = "gpuctl agents shows why";
  const whole = `${count}: ${rangesText(unavailable.map(({ agent }) => agent))} (${hint})`;
  return [whole.length < width ? whole : `${count} (${hint})`];
}

/** The result of a command to one agent. */
export interface Asked {
  /** The agent was offline, so nothing was sent to it. */
  readonly away?: Unavailable | undefined;
}

/** @param view of the agent before it was asked; undefined: unknown */
export function askedInVain(view: AgentView | undefined, error: CourierError): Asked {
  return view === undefined || view.online || error.code !== "unavailable" ? {} : { away: awayEntry(view) };
}

/** Results to show one by one, and agents for `noteUnavailable()`: those that were offline, if they are many. */
export function withoutManyAway<T extends Asked>(
  results: readonly T[],
): { readonly shown: readonly T[]; readonly away: readonly Unavailable[] } {
  const away = new Map(results.flatMap((each) => (each.away === undefined ? [] : [[each.away.agent, each.away]])));
  if (away.size <= NAMED) return { shown: results, away: [] };
  return { shown: results.filter((each) => each.away === undefined), away: [...away.values()] };
}

/** As `unavailableLines()`, of a list of jobs: those of agents that are offline are in it, as they were last seen. */
export function offlineLines(unavailable: readonly Unavailable[], width: number, lastSeen: LastSeen): string[] {
  const isOffline = ({ agent }: Unavailable): boolean => lastSeen(agent) !== undefined;
  const offline = unavailable.filter(isOffline);
  const others = unavailableLines(
    unavailable.filter((each) => !isOffline(each)),
    width,
  );
  if (offline.length <= NAMED)
    return [...offline.map(({ agent, reason }) => `${agent} is offline (${reason}): ${AS_SEEN.one}`), ...others];
  const count = `${offline.length} agents are offline`;
  const whole = `${count}: ${AS_SEEN.several} (${rangesText(offline.map(({ agent }) => agent))})`;
  return [whole.length < width ? whole : `${count}: ${AS_SEEN.several}`, ...others];
}

const AS_SEEN = { one: "its jobs are as last seen", several: "their jobs are as last seen" } as const;

function describeUnavailable({ agent, reason }: Unavailable, what: What = "included"): string {
  return `${agent} not ${what}: ${reason}`;
}
