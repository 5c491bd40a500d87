// The store and handles that a scenario of the conformance suite runs on.
import type { Inbox, Transport } from "#src/transport.ts";

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

export interface Harness {
  /** A fresh store with nothing in it. */
  openStore(): Promise<Store>;
  /** Names of scenarios that this transport cannot run, each with the reason. */
  readonly cannot: Readonly<Record<string, string>>;
}

export interface Scenario {
  readonly name: string;
  readonly run: (on: Bench) => Promise<void>;
}

/** One scenario's store; what it opens is closed after it. */
export interface Bench {
  readonly store: Store;
  readonly handle: () => Transport;
  readonly connected: () => Promise<Transport>;
}

export const GPU: Inbox = { agent: "gpu-1" };
export const FAST = { durable: false };
