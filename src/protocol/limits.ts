// The limits of everything that crosses a transport.
import { BOX_LIMITS } from "./box.ts";
import { TEXT_LIMITS } from "./text.ts";

/** Sizes in bytes, times in ms, and counts. A larger document is refused unread. */
export const LIMITS = {
  commandBytes: 64 * 1024,
  responseBytes: 4 * 1024 * 1024,
  stateBytes: 256 * 1024,
  maxTtlMs: 24 * 3_600_000,
  /** An agent counts as silent when its state document has not changed for this long. */
  silentMs: 20_000,
  /** How often an agent publishes its state when nothing changes. */
  stateIntervalMs: 5_000,
  /** A command that cannot be parsed is refused when it has not changed for this long. */
  partialMs: 5_000,
  /** An empty command is refused after this long. */
  emptyMs: 60_000,
  endedJobsInState: 20,
  /** Ended jobs that an agent keeps, and returns for `list_jobs`. */
  endedJobsKept: 200,
  /** Queued and running jobs of one agent. It refuses more with `exhausted`. */
  activeJobs: 300,
  refusedInState: 20,
  /** Commands that an agent has in hand. The others stay in their inbox until there is room. */
  commandsInHand: 1_000,
  /** State documents that a reader looks at, and their bytes in all. */
  states: 20_000,
  statesBytes: 256 * 1024 * 1024,
  rosterBytes: 4 * 1024 * 1024,
  ...BOX_LIMITS,
  /** Characters of a command's `requested_by`. */
  requesterCharacters: 64,
  /** Characters that a reader keeps of a text for people, and of a host's name. */
  textCharacters: TEXT_LIMITS.text,
  hostCharacters: TEXT_LIMITS.host,
} as const;
