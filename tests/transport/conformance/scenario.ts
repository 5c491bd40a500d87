// The store and handles that a scenario of the conformance suite runs on.
import type { Inbox, ReplyAddress, Transport } from "#src/transport.ts";

/** What handles share: a folder, a server, a map. */
export interface Store {
  /** What a second process opens; not connected. */
  handle(): Transport;
  /** Makes it unreachable for every handle, and reachable again. */
  interrupt(): Promise<void>;
  restore(): Promise<void>;
  /** Writes a state document in place, as a legacy service does. */
  writeState(agent: string, text: string): Promise<void>;
  /** Removes a state document, as an operator does. */
  removeState(agent: string): Promise<void>;
  /** Makes everything in the store older by this much. */
  age(ms: number): Promise<void>;
  remove(): Promise<void>;
}

/** What not every transport has. */
type Capability =
  /** The inbox and the replies of version 1, with claims on its commands. */
  | "shared inbox"
  /** The harness can make everything in the store older. */
  | "aging";

export interface Harness {
  /** A fresh store with nothing in it. */
  openStore(): Promise<Store>;
  /** What the transport does not have, each with the reason: scenarios that need it are not applicable. */
  readonly lacks?: Readonly<Partial<Record<Capability, string>>>;
  /** Names of scenarios that this transport cannot run, each with the reason. */
  readonly cannot: Readonly<Record<string, string>>;
}

export interface Scenario {
  readonly name: string;
  readonly needs?: readonly Capability[];
  readonly run: (on: Bench) => Promise<void>;
}

/** One scenario's store; what it opens is closed after it. */
export interface Bench {
  readonly store: Store;
  readonly handle: () => Transport;
  readonly connected: () => Promise<Transport>;
  /** The shared inbox where there is one, else an agent's that exists. It is not `GPU`. */
  readonly inbox: Inbox;
  /** A sender's own address, and the shared one where there is one. */
  readonly addresses: readonly ReplyAddress[];
}
