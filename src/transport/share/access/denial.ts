// Why a folder denies us, and the command that fixes it: run as printed where it says, it does.
// Imports errors, the driver's own files; node:fs constants and node:path.
import { constants } from "node:fs";
import { dirname, join, relative } from "node:path";
import { systemCode } from "../../../base/errors.ts";
import type { Facts, Primitives } from "../calls/primitives.ts";
import { ownership } from "../folders/folders.ts";
import type { Layout } from "../layout.ts";
import { type Mount, mountAt, readMounts } from "../mount/table.ts";
import { type Account, groupName, isMember, ownAccount, userName } from "./accounts.ts";

const { R_OK, W_OK, X_OK } = constants;
const STICKY = 0o1000;
const USE = 0o7;
/** The groups of root and of nobody: nobody is to join them, and who is in them says nothing. */
const NO_GROUPS: readonly number[] = [0, 65_534];

/** A share's files: where they lie and how they are called. */
export interface ShareFiles {
  readonly layout: Layout;
  readonly fs: Primitives;
}

/** In words, as they follow a colon. */
export interface Denial {
  readonly state: string;
  readonly hint: string;
}

interface Case {
  readonly path: string;
  readonly facts: Facts;
  readonly who: Account;
  readonly mount: Mount | null;
  readonly root: string;
  /** Of the share's own folder; null when that cannot be seen. */
  readonly shareGid: number | null;
}

/** Whether this user may make and remove files in a folder. On a network its server decides, not the modes. */
export async function mayUse(fs: Primitives, path: string): Promise<boolean> {
  try {
    await fs.access(path, R_OK | W_OK | X_OK);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === "EACCES" || code === "EPERM") return false;
    // That it is mounted read-only, or went away, is told elsewhere.
    return true;
  }
}

/** @param path the folder that denied us; told is the highest one that does: who fixes that fixes what lies in it */
export async function describeDenial({ fs, layout }: ShareFiles, path: string): Promise<Denial | undefined> {
  const { root } = layout;
  const top = [layout.commands.path, layout.status.path].find((each) => path.startsWith(`${each}/`));
  const seen = await lowestSeen(fs, top === undefined || (await mayUse(fs, top)) ? path : top);
  if (seen === null) return undefined;
  const mount = mountAt(readMounts(), seen.path);
  const shareGid = (await factsOrNull(fs, root))?.gid ?? null;
  const it: Case = { ...seen, who: ownAccount(), mount, root, shareGid };
  const is = `${seen.path} is ${ownership(seen.facts)}`;
  const { uid, gid } = it.who;
  if (uid === 0 && isNfs(mount)) {
    return {
      state: `permission denied for root, who is nobody on this file server (root_squash): ${is}`,
      hint: ofSquash(it),
    };
  }
  return { state: `permission denied for uid ${uid}, gid ${gid}: ${is}`, hint: hintFor(it) };
}

/**
 * A hint with a command that changes owners or modes on the share: on NFS for its server, because root may be nobody here.
 * @param what it is for, as it begins a sentence
 * @param command for the path as it is called there, quoted
 */
export function fixShare(what: string, path: string, command: (path: string) => string): string {
  const mount = mountAt(readMounts(), path);
  const there = mount !== null && isNfs(mount) ? onServer(mount, path) : null;
  return there === null
    ? `${what}: ${command(quote(path))}`
    : `${what}, on ${there.server}: ${command(quote(there.path))}`;
}

/** @returns null where the source names no server */
export function onServer({ source, point }: Mount, path: string): { server: string; path: string } | null {
  const [, server, exported] = /^(.+):(\/.*)$/.exec(source) ?? [];
  if (server === undefined || exported === undefined) return null;
  return { server, path: join(exported, relative(point, path)) };
}

function isNfs(mount: Mount | null): boolean {
  return mount?.type === "nfs" || mount?.type === "nfs4";
}

/** Another user than root, or another nobody: anyone who may change the export decides. */
function ofSquash({ facts, mount }: Case): string {
  const by = "in a unit by User=, by hand by sudo -u";
  if (!letsGroupIn(facts)) return `Run it as another user than root: ${by}`;
  // This machine remembers what root may do there for as long as the folder stays as it is.
  const exported = `give the export anongid=${facts.gid}, on ${serverOf(mount)}, and mount it again`;
  return `Run it as a user of group ${facts.gid}: ${by}; or ${exported}`;
}

function hintFor(it: Case): string {
  const { path, facts, who, root } = it;
  if (path !== root && !path.startsWith(`${root}/`)) {
    if (mountAt(readMounts(), root)?.type.startsWith("fuse") === true) {
      return "Mount it with -o allow_other: else FUSE lets in nobody but who mounted it";
    }
    return fixShare("Let everybody pass", path, (at) => `sudo chmod a+x ${at}`);
  }
  if (modesAllow(it)) return despiteModes(it);
  if (who.uid === facts.uid) return fixShare("Let its owner in", path, (at) => `sudo chmod u+rwx ${at}`);
  if (letsGroupIn(facts) && !isMember(who, facts.gid))
    return `Join its group, then start again: ${joining(facts.gid, who)}`;
  return lettingIn(it);
}

/** What else may deny what the modes allow. */
function despiteModes({ path, facts, who, mount }: Case): string {
  if ((facts.mode & STICKY) !== 0) return fixShare("Let others remove files too", path, (at) => `sudo chmod -t ${at}`);
  if (!isNfs(mount)) return `Something else than its modes denies it: getfacl ${quote(path)}; lsattr -d ${quote(path)}`;
  // Debian's servers do, by default.
  if (letsGroupIn(facts) && who.uid !== facts.uid && who.gid !== facts.gid) {
    const command = `sudo usermod -g ${groupName(facts.gid) ?? facts.gid} ${nameFor(who)}`;
    const why = "Its server looks up all groups but the first for itself (manage-gids)";
    return `${why}. Make it the first, then start again: ${command}`;
  }
  // Right after a change this machine may use what its server said before.
  return `When it lasts over a minute: export it without all_squash, on ${serverOf(mount)}, which takes this user for another`;
}

/** What lies in it came with it: the same hands made it. The share itself may hold more than what is ours. */
function lettingIn({ path, facts, who, root, shareGid }: Case): string {
  const shared = [facts.gid, shareGid ?? 0].find((gid) => isMember(who, gid) && !NO_GROUPS.includes(gid));
  const group = shared ?? who.gid;
  return fixShare(`Let group ${group} in`, path, (at) => {
    if (path === root) return `sudo chgrp ${group} ${at} && sudo chmod g+rwxs ${at}`;
    return `sudo chgrp -R ${group} ${at} && sudo chmod -R g+rwX ${at} && sudo chmod g+s ${at}`;
  });
}

/** With the number that the group has on the share: over NFS only numbers count. */
function joining(gid: number, who: Account): string {
  const user = nameFor(who);
  const group = groupName(gid);
  if (group !== null) return `sudo usermod -aG ${group} ${user}`;
  return `sudo groupadd -g ${gid} share-${gid} && sudo usermod -aG share-${gid} ${user}`;
}

function nameFor({ uid }: Account): string {
  return userName(uid) ?? `"$(getent passwd ${uid} | cut -d: -f1)"`;
}

function serverOf(mount: Mount | null): string {
  return mount?.source.replace(/:\/.*$/, "") ?? "the server";
}

function letsGroupIn({ gid, mode }: Facts): boolean {
  return ((mode >> 3) & USE) === USE && !NO_GROUPS.includes(gid);
}

function modesAllow({ facts: { uid, gid, mode }, who }: Case): boolean {
  const bits = who.uid === uid ? mode >> 6 : isMember(who, gid) ? mode >> 3 : mode;
  return (bits & USE) === USE;
}

/** The folder, or the lowest one above it that this user can see. */
async function lowestSeen(fs: Primitives, path: string): Promise<{ path: string; facts: Facts } | null> {
  for (let at = path; ; at = dirname(at)) {
    try {
      return { path: at, facts: await fs.lstat(at) };
    } catch (error) {
      if (systemCode(error) !== "EACCES" || at === dirname(at)) return null;
    }
  }
}

async function factsOrNull(fs: Primitives, path: string): Promise<Facts | null> {
  try {
    return await fs.stat(path);
  } catch {
    return null;
  }
}

/** For a shell; most paths need none. */
function quote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}
