// What gpuctl has of its surroundings, as arguments: streams, color, clock, interruption, transport. Contract only.
import type { Clock } from "../base/clock.ts";
import type { NatsFlags } from "../program/transport_flags.ts";
import type { Transport } from "../transport.ts";

/** A stream that may be a terminal. */
export type Screen = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

/** How to watch the share; `auto` uses its file system. */
export const WATCH = ["auto", "local", "network"] as const;
export type Watch = (typeof WATCH)[number];

export interface ClientIo {
  readonly stdout: Screen;
  readonly stderr: Screen;
  /** Whether colors are welcome on a terminal. */
  readonly color: boolean;
  /** The terminal cannot move its cursor. */
  readonly isDumb?: boolean;
  readonly clock: Clock;
  /** Aborted by Ctrl-C, by a request to end, and when nobody reads stdout any more. */
  readonly signal: AbortSignal;
  /** The user and the machine, for the agents' record of pulls: `gpuctl:alice@laptop`. */
  readonly requestedBy: string;
  /** The file with the private key that signs commands; it may be missing. */
  readonly keyFile: string;
  /** The file with the keys of the agents; missing: they are not kept. */
  readonly knownAgentsFile?: string;
  /**
   * Asks the person at the terminal, and resolves with the line that was typed; null at its end, or once `signal` aborted.
   * Missing: nobody is there to answer.
   */
  readonly ask?: (question: string) => Promise<string | null>;
  /** The file with the token for gpu-server, unless the command line names another; it may be missing. */
  readonly tokenFile?: string;
  /**
   * Runs a program with the streams and the signals of this one until it ends.
   * @param environment all of it
   * @returns its exit status, or 128 and the number of the signal that ended it
   */
  runProgram(command: readonly string[], environment: Readonly<Record<string, string | undefined>>): Promise<number>;
  /** A transport for the address, not connected yet. */
  open(address: string, watch: Watch, nats: NatsFlags): Promise<Transport>;
}
