// Looks again at the caller of a stream, which may outlive its token.
import type { Context } from "hono";
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { Authenticator } from "../../access/authenticator.ts";
import { callerOf, type Env } from "../env.ts";

export const CALLER_CHECK_MS = 5_000;

interface Parts {
  readonly authenticator: Pick<Authenticator, "authenticate">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Aborts when the caller's time is over, or when it would no longer be let in. Never rejects. */
export async function stopWithCaller(context: Context<Env>, parts: Parts, stop: AbortController): Promise<void> {
  try {
    await watchCaller(context, parts, stop);
  } catch (error) {
    const request_id = context.get("requestId");
    parts.log.error({ error, request_id }, "Cannot look at the token of a stream: it ends");
    stop.abort();
  }
}

async function watchCaller(
  context: Context<Env>,
  { authenticator, clock }: Parts,
  stop: AbortController,
): Promise<void> {
  const { expiresAtMs, way } = callerOf(context);
  // It has no token.
  if (way === "trusted") return;
  const leftMs = (): number => (expiresAtMs ?? Number.POSITIVE_INFINITY) - clock.now();
  while (!stop.signal.aborted) {
    await clock.sleep(Math.max(0, Math.min(CALLER_CHECK_MS, leftMs())), stop.signal);
    const caller = leftMs() > 0 ? await authenticator.authenticate(context.get("authorization")) : null;
    if (caller === null || caller instanceof CourierError) stop.abort();
  }
}
