// Removes what an agent that is gone left on the share: its inbox with the commands, and last its state document.
import { CourierError, systemCode } from "../../../base/errors.ts";
import type { Forgotten } from "../../../transport.ts";
import { isGone } from "../calls/primitives.ts";
import { removeFile, removeFolder, unlink } from "../files/remove.ts";
import { COMMAND_FILES, type Folder, STATE_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import type { States } from "./states.ts";

/** @see `Transport.forget()` */
export async function forgetAgent(
  share: Share,
  states: States,
  agent: string,
  publishedAtMs: number,
): Promise<Forgotten | null> {
  const isSame = async (): Promise<boolean> => (await states.read(agent))?.publishedAtMs === publishedAtMs;
  if (!(await isSame())) return null;
  // The document last: while it is there, an attempt that failed can be made again.
  const commands = await removeInbox(share, share.layout.inbox({ agent }));
  if (!(await isSame())) return null;
  await unlink(share, share.layout.status, STATE_FILES.format(agent));
  return { commands };
}

/** @returns how many commands were in it */
async function removeInbox(share: Share, inbox: Folder): Promise<number> {
  if ((await share.folderAgain(inbox)) === null) return 0;
  let commands = 0;
  for (const name of await share.namesIn(inbox)) {
    const isCommand = COMMAND_FILES.parse(name) !== null;
    if ((!isCommand && !share.layout.isNudge(name)) || !(await isUnlinked(share, inbox, name))) continue;
    if (isCommand) commands += 1;
  }
  try {
    await removeFolder(share, inbox);
  } catch (error) {
    if (systemCode(error) === "ENOTEMPTY" || systemCode(error) === "EEXIST") throw notEmpty(inbox, error);
    if (!isGone(error)) throw error;
  }
  share.forget(inbox);
  return commands;
}

/** @returns false for a folder with the name of a file: it is not ours */
async function isUnlinked(share: Share, folder: Folder, name: string): Promise<boolean> {
  try {
    return await removeFile(share, folder, name);
  } catch (error) {
    if (systemCode(error) === "EISDIR") return false;
    throw error;
  }
}

function notEmpty({ path }: Folder, cause: unknown): CourierError {
  return new CourierError("conflict", `${path} has files that are not commands, or got a command just now`, {
    hint: "Look at them, and try again",
    cause,
  });
}
