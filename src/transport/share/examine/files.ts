// Tries how files behave on the share, with probes in .tmp that are removed again, and reads its clock.
import { constants } from "node:fs";
import { basename, join } from "node:path";
import { about, type Check } from "../../../base/check.ts";
import { checkClock } from "../../../base/clock_check.ts";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { ownAccount } from "../access/accounts.ts";
import type { Facts, Primitives } from "../calls/primitives.ts";
import { shareFailure } from "../failures.ts";
import { fileMode, makeRealFolder, realFolder } from "../folders/folders.ts";
import { instantMs } from "../time/share_clock.ts";
import type { Ground, Top } from "./ground.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
const NEW = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
const TRIALS = ["create", "exclusive_create", "rename", "link"] as const;
type Trial = (typeof TRIALS)[number];
/** The codes of a file system without links, in a folder where this user has just made a file. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(["EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK"]);
/** As they follow "Cannot". */
const ACTIONS: Readonly<Record<Trial, string>> = {
  create: "make a file",
  exclusive_create: "create a file exclusively",
  rename: "rename a file",
  link: "link a file",
};

/** The trials in one folder: how long each successful one took, and why the next one failed. */
interface Tried {
  readonly folder: string;
  readonly tookMs: Map<Trial, number>;
  failed: { readonly trial: Trial; readonly error: CourierError } | null;
  /** The share's clock minus this machine's; null when no file could be made. */
  offsetMs: number | null;
  /** The made file's owner, as the share reports it. */
  madeAs: Facts | null;
}

/**
 * One check for each trial, and one for the clock. Where no file can be made, the rest is left out.
 * @returns the share's clock minus this machine's, in ms; null when it is unknown
 */
export async function* examineFiles(ground: Ground, tops: readonly Top[]): AsyncGenerator<Check, number | null> {
  const tried: Tried[] = [];
  for (const top of tops) tried.push(await tryFiles(ground, top));
  for (const trial of TRIALS) {
    const check = about(trial);
    const failure = tried.find(({ failed }) => failed?.trial === trial)?.failed?.error;
    const worked = tried.filter(({ tookMs }) => tookMs.has(trial));
    if (failure !== undefined) yield check.failedBy(failure);
    else if (worked.length > 0) {
      const slowestMs = Math.max(...worked.map(({ tookMs }) => tookMs.get(trial) ?? 0));
      const where = worked.map(({ folder }) => folder).join(" and ");
      yield check.ok(`Works in ${where}: ${slowestMs.toFixed(1)} ms${trial === "create" ? strangeOwner(tried) : ""}`);
    }
  }
  const offsetMs = tried.find((each) => each.offsetMs !== null)?.offsetMs ?? null;
  if (offsetMs !== null) yield checkClock(null, offsetMs);
  return offsetMs;
}

async function tryFiles(ground: Ground, top: Top): Promise<Tried> {
  const { layout, fs, clock } = ground;
  const tried: Tried = { folder: basename(top.path), tookMs: new Map(), failed: null, offsetMs: null, madeAs: null };
  const { path: folder } = layout.temporary({ top: top.path, path: top.path });
  const [made, moved, linked] = [newProbe(folder), newProbe(folder), newProbe(folder)];
  const present = new Set<string>();
  const steps: Readonly<Record<Trial, () => Promise<void>>> = {
    create: async () => {
      if (!top.names.includes(".tmp") || (await realFolder(fs, folder)) === null)
        await makeRealFolder(fs, { path: folder }, top.facts);
      const beforeMs = clock.now();
      const file = await fs.open(made, NEW, fileMode(top.facts));
      present.add(made);
      tried.madeAs = await closeProbe(fs, file);
      tried.offsetMs = instantMs(tried.madeAs.mtimeNs) - (beforeMs + clock.now()) / 2;
    },
    exclusive_create: async () => await requireTaken(fs, made),
    rename: async () => {
      await fs.rename(made, moved);
      present.delete(made);
      present.add(moved);
    },
    link: async () => {
      await requireLink(fs, moved, linked, () => present.add(linked));
    },
  };
  for (const trial of TRIALS) {
    const begunMs = clock.monotonic();
    try {
      await steps[trial]();
      tried.tookMs.set(trial, clock.monotonic() - begunMs);
    } catch (error) {
      tried.failed = { trial, error: await shareFailure(error, ACTIONS[trial], folder, ground) };
      break;
    }
  }
  for (const path of present) await remove(fs, path);
  return tried;
}

/** The owner that a file server assigns to this user's files, if it maps the user to another. */
function strangeOwner(tried: readonly Tried[]): string {
  const made = tried.find(({ madeAs }) => madeAs !== null)?.madeAs;
  const { uid, gid } = ownAccount();
  if (made === undefined || made === null || made.uid === uid) return "";
  return `; there, ${uid}:${gid} is ${made.uid}:${made.gid}`;
}

/** A name as every file in .tmp has it: one that stays is swept. */
function newProbe(folder: string): string {
  return join(folder, crypto.randomUUID());
}

async function closeProbe(fs: Primitives, file: number): Promise<Facts> {
  try {
    return await fs.fstat(file);
  } finally {
    await fs.close(file);
  }
}

async function requireTaken(fs: Primitives, path: string): Promise<void> {
  try {
    await fs.close(await fs.open(path, NEW, 0o600));
  } catch (error) {
    if (systemCode(error) === "EEXIST") return;
    throw error;
  }
  throw new CourierError("internal", `${path} could be created although it existed`, {
    hint: "This file system cannot carry commands: use NFS, SMB or a local disk",
  });
}

async function requireLink(fs: Primitives, existing: string, path: string, linked: () => void): Promise<void> {
  const hint = "Version 1 pulls and deletes need links and will fail; everything else works";
  try {
    await fs.link(existing, path);
    linked();
  } catch (error) {
    const code = systemCode(error) ?? "";
    if (!WITHOUT_LINKS.has(code)) throw error;
    throw new CourierError("unimplemented", `Cannot link files here: ${code}`, { hint, cause: error });
  }
  const { nlink } = await fs.lstat(existing);
  // Without a count, as over sshfs, it must be an exclusive link at least: that is what a claim needs.
  if (nlink !== 2 && (await canLinkAgain(fs, existing, path)))
    throw new CourierError("unimplemented", `A link replaces an existing file, and the link count is ${nlink}`, {
      hint,
    });
}

async function canLinkAgain(fs: Primitives, existing: string, path: string): Promise<boolean> {
  try {
    await fs.link(existing, path);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

async function remove(fs: Primitives, path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch {
    // A probe that stays is swept after an hour, like all of .tmp.
  }
}
