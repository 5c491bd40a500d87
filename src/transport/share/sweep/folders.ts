// What a sweep removes from each kind of folder: regular files with our names, looked at again right before removal.
import { join } from "node:path";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { AgentName, LIMITS } from "../../../protocol.ts";
import type { Inbox, Removed, ReplyAddress } from "../../../transport.ts";
import { isOverdue, KEPT_MS } from "../../retention.ts";
import { type Facts, isGone } from "../calls/primitives.ts";
import { wholeContent } from "../files/content.ts";
import { type Found, look } from "../files/read.ts";
import { removeFolder } from "../files/remove.ts";
import { factsAt } from "../folders/folders.ts";
import { COMMAND_FILES, type Folder, type Naming, RESPONSE_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../time/share_clock.ts";

/** Yields what was removed for each name, or null. */
export type Names = AsyncGenerator<keyof Removed | null, void>;

/** A long sweep lists again: on a network share it may only ask for names that a recent listing shows. */
const LISTING_HOLDS_MS = 2_000;

/** Calls back with the name of each folder in a top folder that may be an agent's or a sender's. */
export async function* agentFolders(share: Share, top: Folder, found: (name: string) => void): Names {
  const names = listed(share, top, (candidate) => AgentName.safeParse(candidate).success);
  yield* each(names, async (name) => {
    const facts = await factsAt(share.fs, join(top.path, name));
    if (facts?.kind === "folder") found(name);
    return null;
  });
}

export async function* sweepInbox(share: Share, inbox: Inbox): Names {
  const folder = share.layout.inbox(inbox);
  yield* each(listed(share, folder, orNudge(share, COMMAND_FILES)), async (name) => {
    if (share.layout.isNudge(name)) return await removeUnfinished(share, folder, name);
    const removed = await removeWhen(share, folder, name, LIMITS.commandBytes, (found, ageMs) =>
      isOverdue(inbox, wholeContent(found) ?? { refused: "not whole" }, ageMs),
    );
    return removed ? "commands" : null;
  });
}

export async function* sweepTemporaries(share: Share, folder: Folder): Names {
  const names = listed(share, folder, (candidate) => share.layout.isTemporary(candidate));
  yield* each(names, async (name) => await removeUnfinished(share, folder, name));
}

/** A claim stays as long as its command is there, however old it is. */
export async function* sweepClaims(share: Share): Names {
  const { claims, commands } = share.layout;
  let present: ReadonlySet<string> | undefined;
  const names = listed(share, claims, (candidate) => share.layout.claimed(candidate) !== null);
  yield* each(names, async (name) => {
    // Listed after the claims: the command is always there before its claim.
    present ??= new Set(await share.fs.readdir(commands.path));
    const isHeld = present.has(COMMAND_FILES.format(share.layout.claimed(name) ?? ""));
    return !isHeld && (await removeAged(share, claims, name, KEPT_MS.claim)) ? "claims" : null;
  });
}

export async function* sweepReplies(share: Share, address: ReplyAddress): Names {
  const folder = share.layout.replies(address);
  const silentSinceMs = address === "shared" ? Number.POSITIVE_INFINITY : await signOfLifeMs(share, folder);
  yield* each(listed(share, folder, orNudge(share, RESPONSE_FILES)), async (name) => {
    if (share.layout.isNudge(name)) return await removeUnfinished(share, folder, name);
    return (await removeAged(share, folder, name, KEPT_MS.response)) ? "responses" : null;
  });
  if (share.time.now() - silentSinceMs < KEPT_MS.address) return;
  yield (await removeAddress(share, folder)) ? "addresses" : null;
}

/**
 * Deals with each name. A file that may not be removed or read does not stop the others from being swept.
 * @throws the first such failure, after the last name; at once when the share hangs or the folder is no longer ours
 */
async function* each(names: AsyncGenerator<string>, deal: (name: string) => Promise<keyof Removed | null>): Names {
  const failures: unknown[] = [];
  for await (const name of names) {
    const outcome = await deal(name).catch((error: unknown) => {
      if (error instanceof CourierError) throw error;
      failures.push(error);
      return null;
    });
    yield outcome;
  }
  if (failures.length > 0) throw failures[0];
}

/** The mtime of `.alive`, or of the folder if the file is missing; Infinity when the folder is gone. */
async function signOfLifeMs(share: Share, folder: Folder): Promise<number> {
  const facts = await share.folder(folder);
  if (facts === null) return Number.POSITIVE_INFINITY;
  if (!(await share.fs.readdir(folder.path)).includes(share.layout.signOfLife)) return instantMs(facts.mtimeNs);
  const found = await look(share.fs, join(folder.path, share.layout.signOfLife), 0);
  return "facts" in found ? instantMs(found.facts.mtimeNs) : Number.POSITIVE_INFINITY;
}

/** Removes a reply folder that contains at most its sign of life. @returns false when it stays */
async function removeAddress(share: Share, folder: Folder): Promise<boolean> {
  if ((await share.folder(folder)) === null) return false;
  const names = await share.fs.readdir(folder.path);
  if (names.some((name) => name !== share.layout.signOfLife)) return false;
  if (names.length > 0 && !(await removeAged(share, folder, share.layout.signOfLife, KEPT_MS.address))) return false;
  try {
    await removeFolder(share, folder);
    return true;
  } catch (error) {
    // A file arrived meanwhile: its owner is alive, or an agent responded.
    if (isGone(error) || systemCode(error) === "ENOTEMPTY" || systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** Files of one kind, and nudges that a crash left behind. */
function orNudge({ layout }: Share, naming: Naming): (name: string) => boolean {
  return (name) => naming.parse(name) !== null || layout.isNudge(name);
}

async function removeUnfinished(share: Share, folder: Folder, name: string): Promise<"unfinished" | null> {
  return (await removeAged(share, folder, name, KEPT_MS.unfinished)) ? "unfinished" : null;
}

/** The wanted names in a folder, each shown by a recent listing. */
async function* listed(share: Share, folder: Folder, isWanted: (name: string) => boolean): AsyncGenerator<string> {
  let names: string[] | undefined;
  let listedAtMs = Number.NEGATIVE_INFINITY;
  for (;;) {
    const nowMs = share.clock.monotonic();
    if (nowMs - listedAtMs >= LISTING_HOLDS_MS) {
      if ((await share.folder(folder)) === null) return;
      const there = await share.fs.readdir(folder.path);
      const left = names === undefined ? null : new Set(names);
      names = there.filter((name) => left?.has(name) ?? isWanted(name));
      listedAtMs = nowMs;
    }
    const name = names?.pop();
    if (name === undefined) return;
    yield name;
  }
}

async function removeAged(share: Share, folder: Folder, name: string, keptMs: number): Promise<boolean> {
  return await removeWhen(share, folder, name, 0, (_, ageMs) => ageMs >= keptMs);
}

/** Removes a regular file if a fresh look shows that its time is over. @returns false when it stays or was gone already */
async function removeWhen(
  share: Share,
  folder: Folder,
  name: string,
  maxBytes: number,
  isOver: (found: Found, ageMs: number) => boolean,
): Promise<boolean> {
  const path = join(folder.path, name);
  const ageMs = ({ mtimeNs }: Facts): number => share.time.now() - instantMs(mtimeNs);
  const known = await factsAt(share.fs, path);
  if (known?.kind !== "file" || ageMs(known) < KEPT_MS.least) return false;
  // On a network the kernel's knowledge of a file may be a minute old: opening it asks the server.
  const found = await look(share.fs, path, maxBytes);
  if (!("facts" in found) || found.facts.kind !== "file" || !isOver(found, ageMs(found.facts))) return false;
  if ((await share.folder(folder)) === null) return false;
  try {
    await share.inside([folder], async (at) => await share.fs.unlink(at(name)));
    return true;
  } catch (error) {
    // Removed by another sweep, or its folder is away: nothing follows from it here.
    if (isGone(error)) return false;
    throw error;
  }
}
