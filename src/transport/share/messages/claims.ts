// Claims: the right to run a changing command of the shared inbox, taken by one link.
import { CourierError, systemCode } from "../../../base/errors.ts";
import { LIMITS } from "../../../protocol.ts";
import type { Delivery, Holder } from "../../../transport.ts";
import { syncFolder, writeTemporary } from "../files/publish.ts";
import { type Found, lookUp, lookUpShown } from "../files/read.ts";
import { discard } from "../files/remove.ts";
import { COMMAND_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { readCommand } from "./commands.ts";

/** Takes the claim, or finds its holder. Durable before it resolves. @returns whether `holder` holds it */
export async function takeClaim(share: Share, key: string, holder: Holder): Promise<boolean> {
  const name = share.layout.claimName(key);
  const { claims } = share.layout;
  if ((await share.folder(claims)) === null) await share.madeFolder(claims);
  const folder = await share.targetFolder(claims);
  if (folder === null) throw new CourierError("unavailable", `Cannot claim "${key}": ${claims.path} disappeared`);
  const linked = await share.inside([share.layout.temporary(claims), claims], async (temporary, at) => {
    const { path: mine } = await writeTemporary(share, temporary, folder, textOf(holder), true);
    try {
      return await link(share, mine, at(name));
    } finally {
      await discard(share, mine);
    }
  });
  const isMine = linked || isOf(await lookUp(share, claims, name, LIMITS.commandBytes), holder);
  if (isMine) await syncFolder(share, claims.path);
  return isMine;
}

/** The commands of the shared inbox that this holder has claimed, unchanged since, oldest first. */
export async function claimedBy(share: Share, holder: Holder): Promise<readonly Delivery[]> {
  const found: Delivery[] = [];
  for (const [id, key] of await claimedKeys(share, holder)) {
    const delivery = await readCommand(share, id);
    if (delivery?.key === key) found.push(delivery);
  }
  return found.toSorted((a, b) => a.sentAtMs - b.sentAtMs || (a.id < b.id ? -1 : 1));
}

/** Id and key of each claim whose command is still in the shared inbox. */
async function claimedKeys(share: Share, holder: Holder): Promise<readonly (readonly [string, string])[]> {
  const { claims, commands } = share.layout;
  if ((await share.folder(claims)) === null) return [];
  const present = await share.namesIn(commands);
  const found: (readonly [string, string])[] = [];
  for (const key of await share.namesIn(claims)) {
    const id = share.layout.claimed(key);
    // Most claims outlive their command: only the others are read.
    if (id === null || !present.has(COMMAND_FILES.format(id))) continue;
    const claim = await lookUpShown(share, claims, key, LIMITS.commandBytes);
    if (isOf(claim, holder)) found.push([id, key]);
  }
  return found;
}

/**
 * When the server's reply is lost, the client asks again and then finds the name taken, by us: the link count of our own
 * file shows it (link(2), NFS).
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

/** By the instance alone: a renamed agent keeps its claims. */
function isOf(found: Found | null, { instance }: Holder): boolean {
  if (found?.is !== "read") return false;
  try {
    const claim: unknown = JSON.parse(found.bytes.toString("utf8"));
    return typeof claim === "object" && claim !== null && "instance" in claim && claim.instance === instance;
  } catch {
    return false;
  }
}
