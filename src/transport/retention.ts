// How long files of a transport are kept: the rules of every driver's sweep.
import { LIMITS, VERBS, Verb } from "../protocol.ts";
import type { Content, Inbox } from "../transport.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** After this long nobody will read it any more, in ms. */
export const KEPT_MS = {
  response: HOUR_MS,
  /** Files that were never published. */
  unfinished: HOUR_MS,
  /** An address for replies, counted from its owner's last sign of life. */
  address: DAY_MS,
  /** A command may wait for a day, and its claim outlives it by another. */
  claim: LIMITS.maxTtlMs + DAY_MS,
  /** Nothing is removed before this age. */
  least: HOUR_MS,
} as const;

/**
 * Whether nobody waits for a command and no agent starts it any more: in an agent's inbox an hour after its TTL, in the
 * shared inbox an hour after its publication. An old pull or delete there is left to the agent that serves it: nobody
 * waits for its response, so only that agent knows when it is finished.
 */
export function isOverdue(inbox: Inbox, content: Content, ageMs: number): boolean {
  const text = "text" in content ? content.text : "";
  if (inbox !== "shared") return ageMs >= commandKeptMs(text);
  const { version, command } = parseObject(text);
  const verb = version === undefined || version === null ? Verb.safeParse(command).data : undefined;
  return ageMs >= HOUR_MS && (verb === undefined || !VERBS[verb].changing);
}

/** How long a command in an agent's inbox is kept, in ms: an hour longer than it is valid. */
export function commandKeptMs(text: string): number {
  const { ttl_ms: ttl } = parseObject(text);
  return (typeof ttl === "number" && ttl > 0 && ttl <= LIMITS.maxTtlMs ? ttl : LIMITS.maxTtlMs) + HOUR_MS;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
