// A failure of the share itself, as those see it who ask a program that runs on.
import { asCourierError, CourierError } from "../../base/errors.ts";

/** As `unavailable`, with the same text: a denial on the share does not concern the caller, and may pass. A bug stays one. */
export function shareAway(error: unknown): CourierError {
  const failure = asCourierError(error);
  if (failure.code === "unavailable" || failure.code === "internal") return failure;
  return new CourierError("unavailable", failure.message, { hint: failure.hint, cause: failure });
}
