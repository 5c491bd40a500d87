// The share's clock where no file may be made: a state document that moves while one looks was written just then.
// Imports protocol's limits and the driver's own files.
import { LIMITS } from "../../protocol.ts";
import type { Share } from "./share.ts";
import type { States } from "./states.ts";

const LOOK_EVERY_MS = 500;
/** An agent publishes every 5 s. */
const LOOK_FOR_MS = LIMITS.stateIntervalMs + 1_000;
/** A clock that is behind by less needs no better one. */
const BEHIND_MS = 2_000;

/**
 * Returns at once while the youngest document looks young by the clock there is: it will do. Else that clock is wrong or
 * no agent is alive: looks for 6 s whether a document moves, and takes the time from it.
 */
export async function learnTime({ clock, time }: Share, states: States): Promise<void> {
  const newestMs = async (): Promise<number> => {
    return (await states.readAll()).reduce((newest, record) => Math.max(newest, record.publishedAtMs), 0);
  };
  const beforeMs = await newestMs();
  const ageMs = time.now() - beforeMs;
  if (beforeMs === 0 || (ageMs > -BEHIND_MS && ageMs < LIMITS.silentMs)) return;
  const endMs = clock.monotonic() + LOOK_FOR_MS;
  while (clock.monotonic() < endMs) {
    await clock.sleep(LOOK_EVERY_MS);
    const nowMs = await newestMs();
    if (nowMs === beforeMs) continue;
    time.saw(BigInt(Math.round(nowMs * 1000)) * 1000n);
    return;
  }
}
