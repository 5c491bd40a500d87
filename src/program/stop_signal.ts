// The signal by which a program learns that it should stop.
import { readFileSync } from "node:fs";
import { ERROR_CODES } from "../base/errors.ts";

const ASKS_TO_STOP = ["SIGTERM", "SIGINT"] as const;
/** SIGHUP is signal 1, so it is the lowest bit of `SigIgn` (proc_pid_status(5)). */
const SIGHUP_BIT = 1n;

export interface StopOptions {
  /** How long the program may take to stop, in ms: then it ends with the exit status of `unavailable`. By default it may take forever. */
  readonly withinMs?: number;
  /** While it returns true, a second signal does not end the process either. */
  readonly mustStay?: () => boolean;
}

/**
 * Aborts at the first SIGTERM, SIGINT or SIGHUP. A second one ends the process at once with the exit status of
 * `cancelled`. A process that was started with SIGHUP ignored, as `nohup` does, goes on ignoring it.
 */
export function stopSignal({ withinMs, mustStay = () => false }: StopOptions = {}): AbortSignal {
  const stopping = new AbortController();
  const stop = (): void => {
    if (mustStay()) return stopping.abort();
    if (stopping.signal.aborted) process.exit(ERROR_CODES.cancelled.exit);
    stopping.abort();
    // A call that a hung share never answers would otherwise hold the process until someone kills it.
    if (withinMs !== undefined) setTimeout(() => process.exit(ERROR_CODES.unavailable.exit), withinMs).unref();
  };
  // Read first: a handler replaces the disposition that the process was started with.
  const names = isHangupIgnored() ? ASKS_TO_STOP : [...ASKS_TO_STOP, "SIGHUP"];
  for (const name of names) process.on(name, stop);
  return stopping.signal;
}

/** Where there is no /proc, SIGHUP counts as not ignored. */
function isHangupIgnored(): boolean {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    return false;
  }
  const ignored = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return ignored !== undefined && (BigInt(`0x${ignored}`) & SIGHUP_BIT) !== 0n;
}
