// A login that does not work: the reason goes to the log, and not to callers, who may be anybody.
import { CourierError } from "../../../base/errors.ts";
import type { Outage } from "../../../base/outage.ts";

export type Trouble = Pick<Outage, "failed" | "ended">;

/** A failure as a caller may see it: `unavailable` without the reason, any other unchanged. */
export function withoutReason(error: CourierError): CourierError {
  if (error.code !== "unavailable") return error;
  return new CourierError("unavailable", "The platform's login does not work at the moment", {
    hint: "Try again later. The log of gpu-server has the reason",
    cause: error,
  });
}
