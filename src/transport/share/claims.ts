// Claims: the right to run a changing command of the shared inbox, taken by one link. Imports zod.
import { basename } from "node:path";
import { z } from "zod";
import { LIMITS } from "../../protocol.ts";
import { discard, syncFolder, writeTemporary } from "./publish.ts";
import { lookUp } from "./read.ts";
import type { Share } from "./share.ts";

export interface Holder {
  readonly agent: string;
  readonly instance: string;
}

const Claim = z.looseObject({ instance: z.string() });

/** Takes the claim, or finds who has it. Durable before it resolves. @returns whether `holder` holds it */
export async function takeClaim(share: Share, key: string, { agent, instance }: Holder): Promise<boolean> {
  const claim = share.layout.claim(key);
  const folder = await share.madeFolder(share.layout.claims);
  const text = `${JSON.stringify({ agent, instance })}\n`;
  const mine = await writeTemporary(share, share.layout.claims, text, true, folder);
  try {
    const linked = await link(share, mine, claim);
    if (linked) await syncFolder(share, share.layout.claims.path);
    return linked || (await holderOf(share, key)) === instance;
  } finally {
    await discard(share, mine);
  }
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
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

async function holderOf(share: Share, key: string): Promise<string | null> {
  const { claims, claim } = { claims: share.layout.claims, claim: basename(share.layout.claim(key)) };
  const found = await lookUp(share, claims, claim, LIMITS.commandBytes);
  if (found?.is !== "read") return null;
  try {
    return Claim.parse(JSON.parse(found.bytes.toString("utf8"))).instance;
  } catch {
    return null;
  }
}
