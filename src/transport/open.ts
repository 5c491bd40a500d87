// Opens a transport by its address: the only place that knows every driver.
import { resolve } from "node:path";
import { CourierError } from "../base/errors.ts";
import type { Transport } from "../transport.ts";
import { ShareTransport } from "./share/driver.ts";
import type { ShareOptions } from "./share/share.ts";

export type TransportOptions = ShareOptions;

/**
 * A handle on the transport at an address, not connected yet.
 * @param address the shared folder's path
 * @throws CourierError `invalid` for `memory:`, which exists in one process only; `unimplemented` for another scheme
 */
export function openTransport(address: string, options: TransportOptions): Transport {
  const scheme = /^[a-z][a-z0-9+.-]*:/.exec(address)?.[0];
  if (scheme === undefined) return new ShareTransport(resolve(address), options);
  if (scheme === "memory:") throw new CourierError("invalid", `Cannot use "${address}": it exists in one process only`);
  throw new CourierError("unimplemented", `Cannot use "${address}" as the share: it is not a local path`, {
    hint: "Mount it first, then name the folder where it is mounted",
  });
}
