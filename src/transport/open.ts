// An address becomes its driver: the one place that knows them all. Imports the drivers.
import { resolve } from "node:path";
import { CourierError } from "../base/errors.ts";
import type { Transport } from "../transport.ts";
import { widenFilePool } from "./share/calls/file_pool.ts";
import { ShareTransport } from "./share/driver.ts";
import { isSurelyLocal } from "./share/mount/mount.ts";
import type { ShareOptions } from "./share/share.ts";

export type TransportOptions = ShareOptions;

/**
 * A handle on the transport at an address, not connected yet.
 * @param address the shared folder's path
 * @throws CourierError `invalid` for `memory:`, which ends with its process; `unimplemented` for another scheme
 */
export function openTransport(address: string, options: TransportOptions): Transport {
  const scheme = /^[a-z][a-z0-9+.-]*:/.exec(address)?.[0];
  if (scheme === undefined) return openShare(resolve(address), options);
  if (scheme === "memory:") throw new CourierError("invalid", `Cannot use "${address}": it lives in one process only`);
  throw new CourierError("unimplemented", `Cannot use "${address}": no driver for "${scheme}"`, {
    hint: "Name the shared folder by its path",
  });
}

function openShare(root: string, options: TransportOptions): Transport {
  // It costs 1.5 MB of memory, for nothing where no call can hang.
  if (options.create !== "always" && !isSurelyLocal(root)) widenFilePool();
  return new ShareTransport(root, options);
}
