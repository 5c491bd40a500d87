// How long what lies on a transport may still be wanted: the rules of every driver's sweep. Imports the seam and protocol.
import { LIMITS, VERBS, Verb } from "../protocol.ts";
import type { Content, Inbox } from "../transport.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** After so long nobody will read it any more, in ms. */
export const KEPT_MS = {
  response: HOUR_MS,
  /** What was never published. */
  unfinished: HOUR_MS,
  /** An address for replies, since its owner's last sign of life. */
  address: DAY_MS,
  /** A command may lie for a day, and its claim outlives it by another. */
  claim: LIMITS.maxTtlMs + DAY_MS,
  /** Nothing at all is removed before. */
  least: HOUR_MS,
} as const;

/**
 * Whether a command is one that nobody waits for and no agent starts any more: in an agent's inbox an hour past its time,
 * in the shared inbox an hour old. An old pull or delete there is left to the agent that serves it: nobody waits for its
 * answer, so only that agent knows when it is done with.
 */
export function isOverdue(inbox: Inbox, content: Content, ageMs: number): boolean {
  const { version, command, ttl_ms: ttl } = "text" in content ? parseObject(content.text) : {};
  if (inbox !== "shared") {
    const ttlMs = typeof ttl === "number" && ttl <= LIMITS.maxTtlMs ? ttl : LIMITS.maxTtlMs;
    return ageMs >= ttlMs + HOUR_MS;
  }
  const verb = version === undefined || version === null ? Verb.safeParse(command).data : undefined;
  return ageMs >= HOUR_MS && (verb === undefined || !VERBS[verb].changing);
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
