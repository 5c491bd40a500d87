// The roster as a document: who is who on a share.
import { z } from "zod";
import { CourierError } from "../../base/errors.ts";
import { parseJson } from "../../base/foreign_text.ts";
import { AgentName, LIMITS } from "../../protocol.ts";
import { isLowOrder } from "../low_order.ts";

const DAY_MS = 86_400_000;
/** The longest that a roster may be valid: as long may somebody who can write to the share withhold the next one. */
export const MAX_VALID_MS = 90 * DAY_MS;
const MAX_LINES = 10_000;

/** One that `parseRawKey()` takes: to make keys of thousands takes a part of a second, at each start. */
const RawKey = z
  .string()
  .regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/, "must be the base64 of 32 bytes")
  .refine((text) => !isLowOrder(Buffer.from(text, "base64")), "must be a key with which not everybody can sign");

/** The document without its signature. Times in ms since 1970. */
export const RosterDocument = z.object({
  /** A reader keeps the roster with the highest one. */
  serial: z.int().positive(),
  issued_at_ms: z.int().nonnegative(),
  expires_at_ms: z.int().nonnegative(),
  /** The agents' public keys by name, each the base64 of 32 bytes. */
  agents: z.record(AgentName, RawKey),
  /** Lines of the same form as in a `trusted_keys` file, one key each. */
  senders: z.array(z.string().max(1000)).max(MAX_LINES),
  /** The ids of keys that nobody trusts any more, of senders and of agents. */
  revoked: z.array(z.string().regex(/^[0-9a-f]{16}$/)).max(MAX_LINES),
});
export type RosterDocument = z.infer<typeof RosterDocument>;

/** @throws CourierError `invalid`, with the first fault */
export function parseRoster(text: string): RosterDocument {
  const { data, error } = RosterDocument.safeParse(parseJson(text));
  if (data === undefined) {
    const { path, message } = error.issues[0] ?? { path: [], message: "" };
    throw new CourierError("invalid", `it is not a roster: ${path.join(".")} ${message}`);
  }
  const { issued_at_ms, expires_at_ms, agents } = data;
  if (expires_at_ms <= issued_at_ms || expires_at_ms > issued_at_ms + MAX_VALID_MS)
    throw new CourierError("invalid", "it must end within 90 days after it was issued");
  if (Object.keys(agents).length > LIMITS.states)
    throw new CourierError("invalid", `it has more than ${LIMITS.states} agents`);
  return data;
}
