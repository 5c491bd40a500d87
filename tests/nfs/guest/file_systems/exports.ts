// A folder of the server and the way it reaches the clients: the contract of what speaks NFS and what speaks SMB.
import type { Client } from "../machines.ts";

export interface NetworkExport {
  /** Resolves when clients can mount it. @param squash an option of exports(5) about users */
  open(squash: string): Promise<void>;
  /** @param options in addition to the protocol and what it cannot do without; empty: the defaults */
  mount(client: Client, point: string, options: string): Promise<void>;
  /** Until it is opened again. */
  close(): Promise<void>;
}
