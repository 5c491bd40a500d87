// The doctor's check of a clock: of an agent's machine, and of the machine where the doctor runs.
import { about, type Check } from "./check.ts";
import { CLOCK_OFF_MS } from "./clock.ts";
import { formatDuration } from "./format.ts";

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
