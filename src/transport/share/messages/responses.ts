// Responses on the share, as the agent that writes them and the sender that removes them use them.
import type { PublishOptions, ReplyAddress } from "../../../transport.ts";
import { publishFile } from "../files/publish.ts";
import { lookUpShown } from "../files/read.ts";
import { removeFile } from "../files/remove.ts";
import { RESPONSE_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../time/share_clock.ts";

/** How long a listing counts that has shown a response. */
const SHOWN_FOR_MS = 1_000;

/** @returns false when the folder is gone: nobody waits, nothing was published */
export async function publishResponse(
  share: Share,
  address: ReplyAddress,
  id: string,
  text: string,
  { durable }: PublishOptions,
): Promise<boolean> {
  return await publishFile(share, share.layout.replies(address), RESPONSE_FILES.format(id), text, { durable });
}

/** @returns null when there is no response of that id */
export async function respondedAtMs(share: Share, address: ReplyAddress, id: string): Promise<number | null> {
  const folder = share.layout.replies(address);
  const name = RESPONSE_FILES.format(id);
  if ((await share.folder(folder)) === null) return null;
  // An agent that takes over a folder of old commands asks this thousands of times: too often for a listing each.
  if (!(await share.shows(folder, name, SHOWN_FOR_MS))) return null;
  const found = await lookUpShown(share, folder, name, 0);
  return found === null ? null : instantMs(found.facts.mtimeNs);
}

export async function removeResponse(share: Share, address: ReplyAddress, id: string): Promise<void> {
  await removeFile(share, share.layout.replies(address), RESPONSE_FILES.format(id));
}
