// A failure of the share itself, as those see it who ask a program that runs on.
import { asCourierError, CourierError } from "../../base/errors.ts";

/** As `unavailable`, with the same text: a denial on the share does not concern the caller, and may pass. A bug stays one. */
export function shareAway(error: unknown): CourierError {
  const failure = asCourierError(error);
  if (failure.code === "unavailable" || failure.code === "internal") return failure;
  return new CourierError("unavailable", failure.message, { hint: failure.hint, cause: failure });
}

/** A path of this machine: of its share, or of a folder above it. */
const PATH = /(?:^|[\s"'`(=:])\/[^\s/]/;

/**
 * The failure in the words for callers to whom some agents are all there are: without the paths, users and commands of the
 * share. What an agent says stays.
 */
export function withoutPlace(failure: CourierError): CourierError {
  const { code, message, hint, saidBy } = failure;
  if (saidBy !== undefined || !PATH.test(`${message} ${hint ?? ""}`)) return failure;
  const text = PATH.test(message) ? "The share cannot be used at the moment" : message;
  return new CourierError(code, text, { hint: "The log of gpu-server has the reason", cause: failure });
}
