// The users that run programs on a client of the virtual machine.
import type { Client } from "./machines.ts";

/** As root there, or as a user of /etc/passwd, with a strict umask. */
export type Seat = Client | `${string}@${Client}`;

export function clientOf(seat: Seat): Client {
  const client = (["c1", "c2", "c3"] as const).find((each) => seat === each || seat.endsWith(`@${each}`));
  if (client === undefined) throw new Error(`There is no client in "${seat}"`);
  return client;
}

/** Null: root. */
export function userOf(seat: Seat): string | null {
  return seat.includes("@") ? seat.replace(/@.*/, "") : null;
}

/** The command as that user, whose umask keeps everybody else out. */
export function asUser(user: string | null, command: readonly string[]): readonly string[] {
  return user === null ? command : ["su", "-s", "/bin/sh", "-c", 'umask 077; exec "$@"', "--", user, "sh", ...command];
}
