// The reasons why models could not be compared with their registries.
import type { Compared } from "./newer.ts";

/** Each reason with the number of its models. */
export function unknownReasons(compared: Compared): ReadonlyMap<string, number> {
  const unknown = [...compared.values()].filter(({ state }) => state === "unknown");
  const byReason = Map.groupBy(unknown, ({ reason }) => reason ?? "no reason given");
  return new Map([...byReason].map(([reason, of]) => [reason, of.length]));
}
