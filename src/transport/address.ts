// The address of a transport: a folder, which may have "share:" in front, or a URL of NATS.
import { resolve } from "node:path";

const SHARE = "share:";

/** The path of the shared folder; null when the address is not one. */
export function sharePath(address: string): string | null {
  if (address.startsWith(SHARE)) return address.slice(SHARE.length);
  return /^[a-z][a-z0-9+.-]*:/.test(address) ? null : address;
}

/** The same for every way to write it: what a program keeps of a transport is kept under this. */
export function oneSpelling(address: string): string {
  const path = sharePath(address);
  return path === null ? address : resolve(path);
}
