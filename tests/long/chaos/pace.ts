// How much a chaos run asks of its machine, and what its judge grants to a slow one.

export interface Pace {
  /** How long load and faults go on. */
  readonly faultsMs: number;
  /** Then everything must have come to rest. */
  readonly quietWithinMs: number;
  readonly lanesOfSender: number;
  readonly legacyLanes: number;
  /** The longest pause of a lane between two commands. */
  readonly pauseMs: number;
  /** How much later than on a machine of usual speed an agent may do something, or look again. */
  readonly slackMs: number;
}

/** Of a machine of which other programs need no more than a half. */
export const USUAL_PACE: Pace = {
  faultsMs: 22_000,
  // Agents look again after up to a minute in some cases, and version 1 files rest for 5 s.
  quietWithinMs: 100_000,
  lanesOfSender: 6,
  legacyLanes: 2,
  pauseMs: 1200,
  slackMs: 0,
};
