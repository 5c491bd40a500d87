// Refuses flags that have no effect without another one: their operator counts on a limit that does not hold.
import { CourierError } from "../../base/errors.ts";

export interface PairedOptions {
  readonly pullRate?: number | undefined;
  readonly pullRateSkip?: readonly string[] | undefined;
  readonly mirrorSource: boolean;
  readonly fetchRate?: number | undefined;
}

/** @throws CourierError `invalid` */
export function requirePairs({ pullRate, pullRateSkip, mirrorSource, fetchRate }: PairedOptions): void {
  if (pullRateSkip !== undefined && pullRate === undefined)
    throw lone("--pull-rate-skip", "--pull-rate", "Set the rate that all other registries get, or omit it");
  if (fetchRate !== undefined && !mirrorSource)
    throw lone("--fetch-rate", "--mirror-source", "It limits what this box fetches for others. For pulls: --pull-rate");
}

function lone(given: string, needed: string, hint: string): CourierError {
  return new CourierError("invalid", `${given} has no effect without ${needed}`, { hint });
}
