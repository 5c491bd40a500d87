// What a verb has in one run of gpuctl.
import { CourierError } from "../base/errors.ts";
import type { Agents } from "../courier/selection.ts";
import type { Transport } from "../transport.ts";
import type { KeptRoster } from "../trust/roster/kept_roster.ts";
import type { FleetCourier } from "./fleet_courier.ts";
import type { ClientIo } from "./io.ts";
import type { Printer } from "./output/printer.ts";
import type { WaitingLine } from "./output/waiting_line.ts";

/** What a verb has. */
export interface Session {
  readonly courier: FleetCourier;
  readonly printer: Printer;
  readonly io: ClientIo;
  readonly waiting: WaitingLine;
  readonly timeoutMs: number;
  /** Which agents the command line names; undefined: it names none. */
  readonly agents: Agents | undefined;
  /** The share, for what only it can do. Null: the fleet is reached through gpu-server. */
  readonly share: OpenShare | null;
}

/** A share, not connected yet, and what gpuctl keeps of it. */
export interface OpenShare {
  readonly transport: Transport;
  readonly printer: Printer;
  /** Keeps what is known of the agents' keys; also done at the end. @throws CourierError when that fails */
  readonly saveKeys: () => void;
  /** Null: no operator is trusted. */
  readonly roster: KeptRoster | null;
  /** The path of the share, where its mirror is; null: every transport is NATS. */
  readonly path: string | null;
}

/** @returns the exit status */
export type Verb = (session: Session) => Promise<number>;

/**
 * Runs a verb with what the command line says, and ends with its exit status.
 * @param named agents that are arguments of the verb, in place of `--agent` and `--all`; empty: none is
 */
export type Run = (verb: Verb, named?: readonly string[]) => Promise<void>;

/** A verb that needs the fleet. @throws CourierError `unavailable` when it cannot be reached */
export function connected(verb: Verb): Verb {
  return async (session) => {
    const isOver = session.waiting.begin(session.share === null ? "gpu-server" : "the share");
    await session.courier.connect().finally(isOver);
    return await verb(session);
  };
}

/** @throws CourierError `invalid` when gpuctl has no share */
export function shareOf({ share }: Session): OpenShare {
  if (share !== null) return share;
  throw new CourierError("invalid", "This verb works on the share itself, which gpu-server does not pass on", {
    hint: "Run it where the share is mounted, with --share instead of --server",
  });
}
