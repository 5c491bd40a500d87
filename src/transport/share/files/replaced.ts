// Files that are away only because they are being replaced.
import { systemClock } from "../../../base/clock.ts";
import type { Folder } from "../layout.ts";
import type { Share } from "../share.ts";
import { type Found, lookUp } from "./read.ts";

/** Longer than a writer tries to put a file back, which is 100 ms, with the time that its calls take. */
const LOOKS = 4;
const PAUSE_MS = 60;

/** Those of these names that are back within 240 ms; none at once where a file is replaced in one step. */
export async function thatReturn(share: Share, folder: Folder, names: readonly string[]): Promise<readonly string[]> {
  if (!share.replacesInSteps) return [];
  let [back, away]: [string[], readonly string[]] = [[], names];
  for (let look = 0; look < LOOKS && away.length > 0; look++) {
    // As for calls that are repeated: the server's time passes, whatever clock a test has.
    await systemClock.sleep(PAUSE_MS);
    const listed = await share.namesIn(folder);
    back = [...back, ...away.filter((name) => listed.has(name))];
    away = away.filter((name) => !listed.has(name));
  }
  return back;
}

/** As `lookUp`, for a name whose file is replaced again and again: it is there unless it stays away. */
export async function lookUpReplaced(
  share: Share,
  folder: Folder,
  name: string,
  maxBytes: number,
): Promise<Found | null> {
  const found = await lookUp(share, folder, name, maxBytes);
  if (found !== null) return found;
  const [again] = await thatReturn(share, folder, [name]);
  return again === undefined ? null : await lookUp(share, folder, name, maxBytes);
}
