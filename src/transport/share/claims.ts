// Claims: the right to run a changing command of the shared inbox, taken by one link. Imports errors and protocol.
import { basename } from "node:path";
import { CourierError, systemCode } from "../../base/errors.ts";
import { LIMITS } from "../../protocol.ts";
import type { Holder } from "../../transport.ts";
import { discard, syncFolder, writeTemporary } from "./files/publish.ts";
import { type Found, lookUp, lookUpShown } from "./files/read.ts";
import { COMMAND_FILES } from "./layout.ts";
import type { Share } from "./share.ts";

/** Takes the claim, or finds who has it. Durable before it resolves. @returns whether `holder` holds it */
export async function takeClaim(share: Share, key: string, holder: Holder): Promise<boolean> {
  const claim = share.layout.claim(key);
  const { claims } = share.layout;
  await share.madeFolder(claims);
  const folder = await share.targetFolder(claims);
  if (folder === null) throw new CourierError("unavailable", `Cannot claim "${key}": ${claims.path} went away`);
  const { path: mine } = await writeTemporary(share, claims, folder, textOf(holder), true);
  try {
    const found = async (): Promise<Found | null> => await lookUp(share, claims, basename(claim), LIMITS.commandBytes);
    const isMine = (await link(share, mine, claim)) || isOf(await found(), holder);
    if (isMine) await syncFolder(share, claims.path);
    return isMine;
  } finally {
    await discard(share, mine);
  }
}

/** What this holder has claimed and whose command still lies in the shared inbox: id and key of each. */
export async function claimedKeys(share: Share, holder: Holder): Promise<readonly (readonly [string, string])[]> {
  const { claims, commands } = share.layout;
  if ((await share.folder(claims)) === null) return [];
  const lying = await share.names(commands.path);
  const found: (readonly [string, string])[] = [];
  for (const key of await share.names(claims.path)) {
    const id = share.layout.claimed(key);
    // Most claims outlive their command: only those of what lies there are read.
    if (id === null || !lying.has(COMMAND_FILES.format(id))) continue;
    const claim = await lookUpShown(share, claims, key, LIMITS.commandBytes);
    if (isOf(claim, holder)) found.push([id, key]);
  }
  return found;
}

/**
 * An answer that was lost on the way makes the client ask again, and the second time the name is taken, by me:
 * the number of names of my own file tells (link(2), NFS).
 */
async function link(share: Share, mine: string, claim: string): Promise<boolean> {
  try {
    await share.fs.link(mine, claim);
    return true;
  } catch (error) {
    if ((await share.fs.lstat(mine)).nlink === 2) return true;
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

function textOf({ agent, instance }: Holder): string {
  return `${JSON.stringify({ agent, instance })}\n`;
}

/** By the instance alone: an agent that was renamed goes on with what it claimed. */
function isOf(found: Found | null, { instance }: Holder): boolean {
  if (found?.is !== "read") return false;
  try {
    const claim: unknown = JSON.parse(found.bytes.toString("utf8"));
    return typeof claim === "object" && claim !== null && "instance" in claim && claim.instance === instance;
  } catch {
    return false;
  }
}
