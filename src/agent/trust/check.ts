// The doctor's checks of what signed commands depend on: the trusted keys, and the share's clock.
import { about, type Check } from "../../base/check.ts";
import { isoTime } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import { TrustedKeysFile } from "../../trust/trusted_keys_file.ts";
import { BACK_MS } from "./share_time.ts";
import type { ShareTimeFile } from "./share_time_file.ts";

/** @param user the agent's user; undefined: the agent has not started yet */
export function checkTrustedKeys(path: string, user: number | undefined): Check {
  const check = about("trusted_keys");
  const { trouble, count } = new TrustedKeysFile(path, user);
  if (trouble !== null) return check.failedBy(trouble);
  return check.ok(`${count} ${count === 1 ? "key" : "keys"} in ${path}`);
}

/** @param nowMs the share's clock */
export function checkShareTime(file: Pick<ShareTimeFile, "read">, nowMs: number): Check {
  const check = about("share_time");
  try {
    const latestMs = file.read();
    if (latestMs === null) return check.ok("No time of this share is kept yet");
    const latest = isoTime(latestMs);
    if (nowMs >= latestMs - BACK_MS) return check.ok(`The share's clock has not gone back behind ${latest}`);
    const message = `The share's clock is ${isoTime(nowMs)}, over 10 minutes behind ${latest}, the latest time seen there`;
    return check.failed(message, "Set the clock of the file server. If its time is right now: gpu-agent accept-clock");
  } catch (error) {
    const { message } = asCourierError(error);
    return check.warning(message, "Run doctor as the agent's user");
  }
}
