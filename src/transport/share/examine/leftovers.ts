// Counts files on the share that nobody will read any more, by kind: from names, and the ages of a bounded sample.
import { join } from "node:path";
import { about, type Check } from "../../../base/check.ts";
import { AgentName } from "../../../protocol.ts";
import { KEPT_MS } from "../../retention.ts";
import { isGone } from "../calls/primitives.ts";
import { COMMAND_FILES, RESPONSE_FILES } from "../layout.ts";
import { instantMs } from "../time/share_clock.ts";
import type { Ground, Top } from "./ground.ts";

const DAY_MS = 24 * 3_600_000;
/** This many are worth a warning: a sweep should have removed them. */
const MANY = 1_000;
/** At most this many of each kind are looked at; the old ones among them are scaled up. */
const SAMPLE = 200;
const MAX_FOLDERS = 50;

/** Names of one kind in one folder, and how old one is when nobody will read it any more. */
interface Heap {
  readonly kind: string;
  readonly folder: string;
  readonly names: readonly string[];
  readonly keptMs: number;
}

/** @param nowMs on the share's clock */
export async function examineLeftovers(ground: Ground, tops: readonly Top[], nowMs: number): Promise<Check> {
  const counts = new Map<string, number>();
  for await (const heap of heaps(ground, tops)) {
    const count = await countOld(ground, heap, nowMs);
    if (count > 0) counts.set(heap.kind, (counts.get(heap.kind) ?? 0) + count);
  }
  const check = about("leftovers");
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const list = [...counts].map(([kind, count]) => `${kind}: ${count}`).join(", ");
  if (total === 0) return check.ok("No leftovers");
  if (total < MANY) return check.ok(`To be swept: ${list}`);
  return check.warning(
    list,
    "The agent that serves the shared inbox removes them: check that one runs and may write here",
  );
}

async function* heaps(ground: Ground, tops: readonly Top[]): AsyncGenerator<Heap> {
  const { layout } = ground;
  for (const top of tops) {
    const inTop = (kind: string, naming: typeof COMMAND_FILES, keptMs: number): Heap => {
      return { kind, folder: top.path, names: top.names.filter((name) => naming.parse(name) !== null), keptMs };
    };
    const folders = top.names.filter((name) => AgentName.safeParse(name).success);
    if (top.path === layout.commands.path) {
      yield inTop("version 1 commands", COMMAND_FILES, DAY_MS);
      yield* within(ground, top, folders.slice(0, MAX_FOLDERS), "version 2 commands", KEPT_MS.least);
      yield* within(ground, top, [".claims"], "claims", KEPT_MS.claim);
    } else {
      yield inTop("responses", RESPONSE_FILES, KEPT_MS.response);
      yield { kind: "reply folders", folder: top.path, names: folders, keptMs: KEPT_MS.address };
    }
    yield* within(ground, top, [".tmp"], "files in .tmp", KEPT_MS.unfinished);
  }
}

/** The files in those folders of a top folder that exist. */
async function* within(
  { fs }: Ground,
  top: Top,
  folders: readonly string[],
  kind: string,
  keptMs: number,
): AsyncGenerator<Heap> {
  for (const name of folders.filter((each) => top.names.includes(each))) {
    const folder = join(top.path, name);
    const names = await fs.readdir(folder);
    yield { kind, folder, names: names.filter((each) => !each.startsWith(".")), keptMs };
  }
}

/** The number of old files in a heap: exact for a small one. */
async function countOld({ fs }: Ground, { folder, names, keptMs }: Heap, nowMs: number): Promise<number> {
  const step = Math.max(1, names.length / SAMPLE);
  let [looked, old] = [0, 0];
  for (let at = 0; at < names.length; at += step) {
    const name = names[Math.floor(at)] ?? "";
    looked += 1;
    const mtimeNs = await mtimeOf(fs, join(folder, name));
    if (mtimeNs !== null && nowMs - instantMs(mtimeNs) > keptMs) old += 1;
  }
  return looked === 0 ? 0 : Math.round((old * names.length) / looked);
}

async function mtimeOf(fs: Ground["fs"], path: string): Promise<bigint | null> {
  try {
    return (await fs.lstat(path)).mtimeNs;
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}
