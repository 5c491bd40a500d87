// Whether all state documents are read, by their number and the sizes of a bounded sample.
import { join } from "node:path";
import { about, type Check } from "../../../base/check.ts";
import { formatBytes } from "../../../base/format.ts";
import { LIMITS } from "../../../protocol.ts";
import { isGone } from "../calls/primitives.ts";
import { STATE_FILES } from "../layout.ts";
import type { Ground, Top } from "./ground.ts";

/** At most this many are looked at; their sizes are scaled up. */
const SAMPLE = 200;

export async function examineStates({ layout, fs }: Ground, tops: readonly Top[]): Promise<Check> {
  const check = about("states");
  const top = tops.find(({ path }) => path === layout.status.path);
  const names = (top?.names ?? []).filter((name) => STATE_FILES.parse(name) !== null);
  const bytes = await sizeOf(fs, layout.status.path, names);
  const found = `${names.length} state document${names.length === 1 ? "" : "s"}, ${formatBytes(bytes)}`;
  if (names.length <= LIMITS.states && bytes <= LIMITS.statesBytes) return check.ok(found);
  return check.warning(
    `${found}: only the first ${LIMITS.states} or ${formatBytes(LIMITS.statesBytes)} are read, known agents first`,
    `Remove those of machines that are gone: ${layout.status.path}/*_status.json`,
  );
}

async function sizeOf(fs: Ground["fs"], folder: string, names: readonly string[]): Promise<number> {
  const step = Math.max(1, names.length / SAMPLE);
  let [looked, bytes] = [0, 0];
  for (let at = 0; at < names.length; at += step) {
    looked += 1;
    try {
      bytes += (await fs.lstat(join(folder, names[Math.floor(at)] ?? ""))).size;
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return looked === 0 ? 0 : Math.round((bytes * names.length) / looked);
}
