// One run of gpuctl: reaches the fleet, does what the verb does, leaves nothing behind.
import { within } from "../base/clock.ts";
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
}

/** @returns the exit status */
export type Verb = (session: Session) => Promise<number>;

/** Runs a verb with what the command line says, and ends with its exit status. */
export type Run = (verb: Verb) => Promise<void>;

/** A way to a fleet, not connected yet. */
export interface Reached extends Pick<Session, "courier" | "share"> {
  /** Gives everything up. May never resolve on a hung share. @param status of the verb; undefined: it threw */
  readonly close: (status: number | undefined) => Promise<void>;
}

/** How long after Ctrl-C a verb, and then the cleaning up, may take: on a hung share neither would ever end. */
const STOP_GRACE_MS = 2_000;
/** The longest that a timer can be set for. */
const FOREVER_MS = 2 ** 31 - 1;

/** A verb that needs the fleet. @throws CourierError `unavailable` when it cannot be reached */
export function connected(verb: Verb): Verb {
  return async (session) => {
    const isOver = session.waiting.begin("the share");
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

/**
 * Runs a verb and gives everything up that it used.
 * @param verb gets a fleet that is not connected
 * @returns the exit status
 * @throws whatever the verb throws; `cancelled`
 */
export async function runInSession(
  { courier, share, close }: Reached,
  { printer, io, waiting, timeoutMs, agents }: Omit<Session, "courier" | "share">,
  verb: Verb,
): Promise<number> {
  let status: number | undefined;
  waiting.showLastSeen(courier);
  try {
    status = await untilStopped(verb({ courier, share, printer, io, waiting, timeoutMs, agents }), io);
    return status;
  } finally {
    printer.close();
    waiting.mute();
    // The result is known: what cannot be given up now is left to the sweep.
    await within(io.clock, STOP_GRACE_MS, close(status), null);
  }
}

/** The result of `work`; once the signal aborted, `work` has a short while to end by itself. */
async function untilStopped(work: Promise<number>, { clock, signal }: ClientIo): Promise<number> {
  const ended = new AbortController();
  const stopped = async (): Promise<never> => {
    await clock.sleep(FOREVER_MS, AbortSignal.any([signal, ended.signal]));
    if (!ended.signal.aborted) await clock.sleep(STOP_GRACE_MS, ended.signal);
    throw new CourierError("cancelled", "Stopped while the share did not answer");
  };
  try {
    return await Promise.race([work, stopped()]);
  } finally {
    ended.abort();
  }
}
