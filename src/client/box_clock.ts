// The clocks of the agents' boxes.
import type { Session } from "./session.ts";

/** The time by the clock of each agent's box: the times in a state are by that clock. */
export function boxClock({ courier }: Session): (agent: string) => number {
  const nowMs = courier.now();
  const offsetsMs = new Map(courier.lastKnownAgents().map(({ agent, state }) => [agent, state?.clock_offset_ms ?? 0]));
  return (agent) => nowMs - (offsetsMs.get(agent) ?? 0);
}

/** As `boxClock()`, for what is shown for longer than a moment: the time of each call. */
export function liveBoxClock(session: Session): (agent: string) => number {
  return (agent) => boxClock(session)(agent);
}
