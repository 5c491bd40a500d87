// Checks whether the share's folders are real ones that this user and others may use.
import { basename, join } from "node:path";
import { about, type Check } from "../../../base/check.ts";
import { AgentName } from "../../../protocol.ts";
import { describeDenial, mayUse } from "../access/denial.ts";
import { fixShare } from "../access/fix.ts";
import type { Facts } from "../calls/primitives.ts";
import { shareFailure } from "../failures.ts";
import { ownership, realFolder } from "../folders/folders.ts";
import { missingTop } from "../mount/root.ts";
import type { Ground, Top } from "./ground.ts";

const GROUP_BITS = 0o060;
const GROUP_WRITES = 0o020;
const WORLD_WRITES = 0o002;
const STICKY = 0o1000;
/** With more agents than this, only the first ones are checked. */
const MAX_INBOXES = 200;
/** How many inboxes get a check of their own when something is wrong with them. */
const MAX_REPORTED = 10;

/** @returns the top folders that exist and may be read */
export async function* examineFolders(ground: Ground): AsyncGenerator<Check, Top[]> {
  const { layout } = ground;
  const tops: Top[] = [];
  for (const { path } of [layout.commands, layout.status]) {
    const found = await openTop(ground, path);
    if ("check" in found) {
      yield found;
      continue;
    }
    tops.push(found);
    yield await examineTop(ground, found);
  }
  for (const top of tops) {
    for (const name of [".tmp", ".claims"]) {
      if (top.names.includes(name)) yield await examineFolder(ground, "folder", join(top.path, name), top);
    }
  }
  const commands = tops.find(({ path }) => path === layout.commands.path);
  if (commands !== undefined) yield* examineInboxes(ground, commands);
  return tops;
}

async function openTop(ground: Ground, path: string): Promise<Top | Check> {
  const {
    layout: { root },
    fs,
  } = ground;
  const check = about("folder", basename(path));
  try {
    // Asks only for what a listing shows.
    const facts = (await fs.readdir(root)).includes(basename(path)) ? await realFolder(fs, path) : null;
    if (facts !== null) return { path, facts, names: await fs.readdir(path) };
    return check.failedBy(missingTop(root, path, "gpu-agent "));
  } catch (error) {
    return check.failedBy(await shareFailure(error, "look", path, ground));
  }
}

async function examineTop(ground: Ground, { path, facts }: Top): Promise<Check> {
  const check = about("folder", basename(path));
  if (!(await mayUse(ground.fs, path))) return await denied(check, ground, path);
  if ((facts.mode & STICKY) !== 0) {
    const hint = fixShare("Allow others to remove files", path, (at) => `sudo chmod -t ${at}`);
    return check.warning(`Users cannot remove the files of others in it: ${ownership(facts)}`, hint);
  }
  if ((facts.mode & WORLD_WRITES) === 0) return check.ok(`Permissions OK: ${ownership(facts)}`);
  const hint = "Use one group for all users instead: see Permissions in docs/operations.md";
  return check.warning(`Anyone can write to it, and thus pull and delete models: ${ownership(facts)}`, hint);
}

/** A folder below a top one takes the group and the read and write bits of that. */
async function examineFolder(ground: Ground, name: string, path: string, top: Top): Promise<Check> {
  const { fs } = ground;
  const check = about(name, path.slice(path.indexOf(basename(top.path))));
  try {
    const facts = await realFolder(fs, path);
    if (facts === null) return check.ok("Already gone");
    if (!(await mayUse(fs, path))) return await denied(check, ground, path);
    if (!isNarrower(facts, top.facts)) return check.ok(`Permissions OK: ${ownership(facts)}`);
    const mode = (top.facts.mode & 0o777).toString(8);
    const command = (at: string): string => `sudo chgrp ${top.facts.gid} ${at} && sudo chmod 2${mode} ${at}`;
    const hint = fixShare("Give it its parent's group and mode", path, command);
    return check.warning(`Others cannot use it: ${ownership(facts)}; its parent is ${ownership(top.facts)}`, hint);
  } catch (error) {
    return check.failedBy(await shareFailure(error, "look", path, ground));
  }
}

/** One check for all of them when nothing is wrong. */
async function* examineInboxes(ground: Ground, top: Top): AsyncGenerator<Check> {
  const names = top.names.filter((name) => AgentName.safeParse(name).success);
  const wrong: Check[] = [];
  for (const name of names.slice(0, MAX_INBOXES)) {
    const check = await examineFolder(ground, "inbox", join(top.path, name), top);
    if (check.result !== "ok") wrong.push({ ...check, subject: name });
  }
  yield* wrong.slice(0, MAX_REPORTED);
  if (wrong.length === 0) yield about("inbox").ok(`Permissions OK (${names.length})`);
}

async function denied(check: ReturnType<typeof about>, ground: Ground, path: string): Promise<Check> {
  const denial = await describeDenial(ground, path);
  return check.failed(denial?.state ?? `permission denied for ${path}`, denial?.hint);
}

/** Whether it keeps out members of its parent's group. */
function isNarrower(folder: Facts, top: Facts): boolean {
  const wanted = top.mode & GROUP_BITS;
  return (top.mode & GROUP_WRITES) !== 0 && (folder.gid !== top.gid || (folder.mode & wanted) !== wanted);
}
