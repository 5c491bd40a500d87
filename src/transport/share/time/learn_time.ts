// Reading the share's time: from a file of our own, or without write access from a state document that changes meanwhile.
import { LIMITS } from "../../../protocol.ts";
import { isDenied } from "../failures.ts";
import { sampleTime } from "../files/publish.ts";
import { ChangedStates } from "../messages/changed_states.ts";
import type { Share } from "../share.ts";

const LOOK_EVERY_MS = 500;
/** An agent publishes every 5 s. */
const LOOK_FOR_MS = LIMITS.stateIntervalMs + 1_000;
/** A clock that is behind by less is good enough. */
const BEHIND_MS = 2_000;

/** Brings the share's clock in step. */
export async function readTime(share: Share): Promise<void> {
  try {
    await sampleTime(share);
  } catch (error) {
    if (!isDenied(error)) throw error;
    await learnTime(share);
  }
}

/**
 * Returns at once when the newest document is recent by this machine's clock: that clock is good enough. Otherwise it is
 * wrong or no agent is alive: watches for 6 s for a document that changes, and takes the time from it.
 */
export async function learnTime(share: Share): Promise<void> {
  const { clock, time } = share;
  const states = new ChangedStates(share);
  let newest = 0;
  const newestMs = async (): Promise<number> => {
    await states.read(({ publishedAtMs }) => {
      newest = Math.max(newest, publishedAtMs);
    });
    return newest;
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
