// SMB refuses some calls for a moment that every other file system allows: such a call is repeated.
import { systemClock } from "../../../base/clock.ts";
import { systemCode } from "../../../base/errors.ts";

/**
 * By call, seen on Linux 6.1 with Samba 4.17:
 * - `open`: the kernel has one lease for a file, whatever its name. While a hard link of it is in use on this machine, its other
 *   names cannot be opened, as with a claim that another agent of this machine has just linked.
 * - `rename`: nothing takes the place of a file that another program of this machine is reading, as with a state document. The
 *   name is then free once that one has closed it.
 */
const MOMENTARY = { open: "EINVAL", rename: "EACCES" } as const;
const ATTEMPTS = 6;
const PAUSE_MS = 20;

/**
 * The result of the call, repeated for 100 ms while it fails with the error that may be momentary for it. Outside the gate:
 * what ends the moment may wait for its turn there.
 */
export async function repeated<T>(what: keyof typeof MOMENTARY, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === ATTEMPTS || systemCode(error) !== MOMENTARY[what]) throw error;
      await systemClock.sleep(PAUSE_MS);
    }
  }
}
