// One check of the doctor: its subject, its result and advice.
import { CLOCK_OFF_MS } from "./clock.ts";
import { asCourierError } from "./errors.ts";
import { formatDuration } from "./format.ts";

export interface Check {
  /** The kind of check, for programs: it never changes. */
  readonly check: string;
  /** An agent, a folder or an option; null where the kind has only one subject. */
  readonly subject: string | null;
  readonly result: "ok" | "warning" | "failed";
  /** The finding, for people. */
  readonly message: string;
  /** How to fix it. */
  readonly hint: string | null;
}

/** Makes checks of one kind: `about("ping", "gpu-1").ok("answered in 3 ms")`. */
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
 * Commands and states do not depend on a machine's clock, but its log, its TLS and its users do.
 * @param subject the agent on the machine; null: this machine
 * @param offsetMs the share's clock minus the machine's
 */
export function checkClock(subject: string | null, offsetMs: number): Check {
  const check = about("clock", subject);
  if (Math.abs(offsetMs) < CLOCK_OFF_MS)
    return check.ok(`Clock within ${Math.abs(Math.round(offsetMs))} ms of the share`);
  const offset = `${formatDuration(Math.abs(offsetMs) / 1000)} ${offsetMs > 0 ? "behind" : "ahead of"}`;
  const where = subject === null ? "this machine" : "its machine";
  return check.warning(
    `${offset} the share's clock: times in its log and jobs are off, commands are not affected`,
    `Set the clock of ${where}: timedatectl set-ntp true`,
  );
}
