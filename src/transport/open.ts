// Opens a transport by its address: the only place that knows every driver.
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { CourierError } from "../base/errors.ts";
import type { Transport } from "../transport.ts";
import { oneSpelling, sharePath } from "./address.ts";
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

type Several<Item> = readonly [Item, ...Item[]];

/** Handles on the transports at these addresses, in their order, not connected yet. @throws CourierError as `openTransport()` */
export function openTransports([first, ...rest]: Several<string>, options: TransportOptions): Several<Transport> {
  const { rememberIn } = options;
  const others = rest.map((address) => {
    // Each share has a file system of its own. The first one has the file of a program with one.
    const own = createHash("sha256").update(oneSpelling(address)).digest("hex").slice(0, 16);
    return openTransport(
      address,
      rememberIn === undefined ? options : { ...options, rememberIn: `${rememberIn}-${own}` },
    );
  });
  return [openTransport(first, options), ...others];
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
