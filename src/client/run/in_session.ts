// One run of gpuctl: reaches the fleet, does what the verb does, leaves nothing behind.
import { within } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { ClientIo } from "../io.ts";
import type { Session, Verb } from "../session.ts";

/** A way to a fleet, not connected yet. */
export interface Reached extends Pick<Session, "courier" | "share"> {
  /** Gives everything up. May never resolve on a hung share. @param status of the verb; undefined: it threw */
  readonly close: (status: number | undefined) => Promise<void>;
}

/** How long after Ctrl-C a verb, and then the cleaning up, may take: on a hung share neither would ever end. */
const STOP_GRACE_MS = 2_000;
/** The longest that a timer can be set for. */
const FOREVER_MS = 2 ** 31 - 1;

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
    const work = verb({ courier, share, printer, io, waiting, timeoutMs, agents });
    status = await untilStopped(work, io, share === null ? "gpu-server" : "the share");
    return status;
  } finally {
    printer.close();
    waiting.mute();
    // The result is known: what cannot be given up now is left to the sweep.
    await within(io.clock, STOP_GRACE_MS, close(status), null);
  }
}

/** The result of `work`; once the signal aborted, `work` has a short while to end by itself. */
async function untilStopped(work: Promise<number>, { clock, signal }: ClientIo, awaited: string): Promise<number> {
  const ended = new AbortController();
  const stopped = async (): Promise<never> => {
    await clock.sleep(FOREVER_MS, AbortSignal.any([signal, ended.signal]));
    if (!ended.signal.aborted) await clock.sleep(STOP_GRACE_MS, ended.signal);
    throw new CourierError("cancelled", `Stopped while ${awaited} did not answer`);
  };
  try {
    return await Promise.race([work, stopped()]);
  } finally {
    ended.abort();
  }
}
