// One check of the doctor: what was looked at, how it came out, and what to do. Imports clock, errors, formats.
import { CLOCK_OFF_MS } from "./clock.ts";
import { asCourierError } from "./errors.ts";
import { formatOffset } from "./format.ts";

export interface Check {
  /** What was looked at: stable, for programs. */
  readonly check: string;
  /** Which of several: an agent, a folder, an option; null where there is one only. */
  readonly subject: string | null;
  readonly result: "ok" | "warning" | "failed";
  /** What was found, for people. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string | null;
}

/** How a check of this name comes out: `about("ping", "gpu-1").ok("answered in 3 ms")`. */
export function about(check: string, subject: string | null = null) {
  const outcome =
    (result: Check["result"]) =>
    (message: string, hint: string | null = null): Check => ({ check, subject, result, message, hint });
  return {
    ok: outcome("ok"),
    warning: outcome("warning"),
    failed: outcome("failed"),
    failedBy: (error: unknown): Check => {
      const { message, hint } = asCourierError(error);
      return outcome("failed")(message, hint ?? null);
    },
  };
}

/**
 * Nothing here uses a machine's own clock; its log, its TLS and its people do.
 * @param subject the agent whose box it is; null: this machine
 * @param offsetMs the share's clock minus the machine's
 */
export function checkClock(subject: string | null, offsetMs: number): Check {
  const check = about("clock", subject);
  if (Math.abs(offsetMs) < CLOCK_OFF_MS)
    return check.ok(`In step with the share, to ${Math.abs(Math.round(offsetMs))} ms`);
  const where = subject === null ? "this machine" : "its box";
  return check.warning(
    `${formatOffset(offsetMs)}, by the share's: times in its log and jobs are off, commands are not`,
    `Set the clock of ${where}: timedatectl set-ntp true`,
  );
}
