// The doctor's check of the roster: whether this program has one, whether the published one is it, and when it ends.
import { about, type Check } from "../base/check.ts";
import { isoTime } from "../base/clock.ts";
import { asCourierError } from "../base/errors.ts";
import type { Transport } from "../transport.ts";
import type { KeptRoster } from "../trust/roster/kept_roster.ts";
import { offerRoster } from "../trust/roster/take_roster.ts";

type Source = Pick<Transport, "readRoster">;

const DAY_MS = 86_400_000;
/** An operator has this long to sign the next one. */
export const ROSTER_ENDS_SOON_MS = 14 * DAY_MS;

const PUBLISH_AGAIN = "Publish the newest roster again: gpuctl roster publish FILE";

/** @param open the roster as this program keeps it; what is published now counts for this check, and is not kept */
export async function examineRoster(transport: Source, open: () => KeptRoster): Promise<Check> {
  try {
    return await checkRoster(transport, open());
  } catch (error) {
    return about("roster").failedBy(error);
  }
}

async function checkRoster(transport: Source, kept: KeptRoster): Promise<Check> {
  const check = about("roster");
  const published = await offerRoster(transport, kept).catch(asCourierError);
  const { roster, trouble } = kept;
  if (roster === null || trouble !== null) return check.failedBy(published instanceof Error ? published : trouble);
  const { serial, signedBy, expires_at_ms } = roster;
  if (published instanceof Error)
    return check.warning(`${published.message}. The roster ${serial} still counts`, PUBLISH_AGAIN);
  if (!published) return check.warning(`None is on the share. The roster ${serial} still counts`, PUBLISH_AGAIN);
  const text = `Roster ${serial}, signed by ${signedBy}, ends on ${isoTime(expires_at_ms).slice(0, 10)}`;
  return kept.endsInMs < ROSTER_ENDS_SOON_MS
    ? check.warning(text, "An operator signs the next one: gpuctl roster --help")
    : check.ok(text);
}
