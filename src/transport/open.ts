// Opens a transport by its address: the only place that knows every driver.
import { resolve } from "node:path";
import { CourierError } from "../base/errors.ts";
import type { Transport } from "../transport.ts";
import { sharePath } from "./address.ts";
import { NatsTransport } from "./nats/driver.ts";
import { type NatsOptions, parseNatsAddress } from "./nats/options.ts";
import { ShareTransport } from "./share/driver.ts";
import type { ShareOptions } from "./share/share.ts";

export interface TransportOptions extends ShareOptions {
  /** How to get into NATS. */
  readonly nats?: NatsOptions;
  /** The agent that this program is, by which NATS knows it. */
  readonly identity?: string;
}

/**
 * A handle on the transport at an address, not connected yet.
 * @param address the shared folder's path, also after `share:`, or `nats://…` or `tls://…`
 * @throws CourierError `invalid` for `memory:`, which exists in one process only; `unimplemented` for another scheme
 */
export function openTransport(address: string, options: TransportOptions): Transport {
  const path = sharePath(address);
  if (path !== null) return new ShareTransport(resolve(path), options);
  const scheme = /^[a-z][a-z0-9+.-]*:/.exec(address)?.[0];
  const { nats, identity, clock, log } = options;
  if (scheme === "nats:" || scheme === "tls:")
    return new NatsTransport(parseNatsAddress(address), { ...nats, identity, clock, log });
  if (scheme === "memory:") throw new CourierError("invalid", `Cannot use "${address}": it exists in one process only`);
  throw new CourierError("unimplemented", `Cannot use "${address}" as the share: it is not a local path`, {
    hint: "Mount it first, then name the folder where it is mounted; or give an address of NATS, as nats://host:4222",
  });
}
