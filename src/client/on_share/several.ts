// Opens the transports that the command line names as one.
import type { Clock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { NatsFlags } from "../../program/transport_flags.ts";
import { type SeveralDeps, several } from "../../transport/several.ts";
import type { Transport } from "../../transport.ts";
import type { ClientIo, Watch } from "../io.ts";

export type Addresses = readonly [string, ...string[]];

const NO_KEYS = { knownKey: () => null };

/** @returns handles that are not connected yet */
export async function openEach(
  { open }: Pick<ClientIo, "open">,
  [first, ...rest]: Addresses,
  watch: Watch,
  nats: NatsFlags,
): Promise<readonly [Transport, ...Transport[]]> {
  const others = await Promise.all(rest.map(async (address) => await open(address, watch, nats)));
  return [await open(first, watch, nats), ...others];
}

/** One handle on all of them. */
export function openSeveral(
  transports: readonly [Transport, ...Transport[]],
  clock: Clock,
  { keys = NO_KEYS, left }: Partial<Pick<SeveralDeps, "keys" | "left">> = {},
): Transport {
  return several(transports, { keys, clock, log: silentLog, ...(left === undefined ? {} : { left }) });
}
