// Why a folder denies us: its facts, and the command that fixes it where a group or root_squash is the reason.
import { constants } from "node:fs";
import { dirname } from "node:path";
import { systemCode } from "../../../base/errors.ts";
import type { Facts, Primitives } from "../calls/primitives.ts";
import { ownership } from "../folders/folders.ts";
import type { Layout } from "../layout.ts";
import { type Mount, mountAt, readMounts } from "../mount/table.ts";
import { type Account, groupName, isMember, ownAccount, userName } from "./accounts.ts";
import { fixShare, isNfs, SEE_PERMISSIONS } from "./fix.ts";

const { R_OK, W_OK, X_OK } = constants;
const STICKY = 0o1000;
const USE = 0o7;
/** The groups of root and of nobody: nobody should join them, and they grant nothing on a network. */
const NO_GROUPS: readonly number[] = [0, 65_534];

/** A share's files: their places, and how they are called. */
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
  /** Of the share's own folder; null when it cannot be seen. */
  readonly shareGid: number | null;
}

/** Whether this user may make and remove files in a folder. On a network its server decides, not the modes. */
export async function mayUse(fs: Primitives, path: string): Promise<boolean> {
  try {
    await fs.access(path, R_OK | W_OK | X_OK);
    return true;
  } catch (error) {
    const code = systemCode(error);
    // Other checks report a read-only mount, and a share that is gone.
    return code !== "EACCES" && code !== "EPERM";
  }
}

/** @param path the folder that denied us; the result is about the highest one that does: a fix there covers what is in it */
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
  return { state: `permission denied for uid ${uid}, gid ${gid}: ${is}`, hint: ofGroup(it) ?? SEE_PERMISSIONS };
}

/** Another user than root, or another nobody: the choice is that of the export's administrator. */
function ofSquash({ facts, mount }: Case): string {
  const by = "in a unit by User=, by hand by sudo -u";
  if (!letsGroupIn(facts)) return `Run it as a user other than root: ${by}`;
  const server = mount?.source.replace(/:\/.*$/, "") ?? "the server";
  // This machine remembers what root may do there for as long as the folder stays as it is.
  const exported = `give the export anongid=${facts.gid}, on ${server}, and mount it again`;
  return `Run it as a user of group ${facts.gid}: ${by}; or ${exported}`;
}

/** @returns null where no group is the reason: a folder above the share, its owner's bits, a sticky bit, an ACL, FUSE */
function ofGroup(it: Case): string | null {
  const { path, facts, who, mount, root } = it;
  if (path !== root && !path.startsWith(`${root}/`)) return null;
  if (modesAllow(it)) {
    const isMemberHere = letsGroupIn(facts) && who.uid !== facts.uid && who.gid !== facts.gid;
    return isNfs(mount) && isMemberHere && (facts.mode & STICKY) === 0 ? makingFirst(facts.gid, who) : null;
  }
  if (who.uid === facts.uid) return null;
  return letsGroupIn(facts) && !isMember(who, facts.gid) ? joining(facts.gid, who) : lettingIn(it);
}

/** Debian's servers do, by default. */
function makingFirst(gid: number, who: Account): string {
  const why = "Its server looks up all groups but the first for itself (manage-gids)";
  return `${why}. Make it the first, then start again: sudo usermod -g ${groupName(gid) ?? gid} ${nameFor(who)}`;
}

/** With the number that the group has on the share: over NFS only numbers count. */
function joining(gid: number, who: Account): string {
  const [user, group] = [nameFor(who), groupName(gid)];
  const add = group === null ? `sudo groupadd -g ${gid} share-${gid} && ` : "";
  return `Join its group, then start again: ${add}sudo usermod -aG ${group ?? `share-${gid}`} ${user}`;
}

/** Below the share's own folder with all it contains: the same user made it. The share itself may hold more than our files. */
function lettingIn({ path, facts, who, root, shareGid }: Case): string {
  const shared = [facts.gid, shareGid ?? 0].find((gid) => isMember(who, gid) && !NO_GROUPS.includes(gid));
  const group = shared ?? who.gid;
  return fixShare(`Let group ${group} in`, path, (at) => {
    if (path === root) return `sudo chgrp ${group} ${at} && sudo chmod g+rwxs ${at}`;
    return `sudo chgrp -R ${group} ${at} && sudo chmod -R g+rwX ${at} && sudo chmod g+s ${at}`;
  });
}

function nameFor({ uid }: Account): string {
  return userName(uid) ?? `"$(getent passwd ${uid} | cut -d: -f1)"`;
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
