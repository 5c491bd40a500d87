// An inbox of the share under watch: commands become deliveries, stray names are refused once. Imports protocol.
import { join } from "node:path";
import { AgentName, LIMITS } from "../../../protocol.ts";
import type { Delivery, Inbox, Listener } from "../../../transport.ts";
import { isGone } from "../failures.ts";
import { deliveryKey, wholeContent } from "../files/content.ts";
import { lookUp } from "../files/read.ts";
import { COMMAND_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../share_clock.ts";
import { Box } from "./known_files.ts";
import { Watch } from "./watch.ts";

export function watchInbox(share: Share, inbox: Inbox, listener: Listener): Watch {
  const folder = share.layout.inbox(inbox);
  const strays = new StrayNames(share, folder.path, inbox, listener);
  const box = new Box({
    share,
    path: folder.path,
    maxBytes: LIMITS.commandBytes,
    idOf: (name) => COMMAND_FILES.parse(name),
    emit: ({ id, key, content, mtimeNs }) => {
      listener.deliver({ inbox, id, key, content, sentAtMs: instantMs(mtimeNs) });
    },
  });
  return new Watch({
    share,
    folder,
    box,
    remake: async () => await share.madeFolder(folder),
    listed: async (names) => await strays.listed(names),
    interrupted: (error) => listener.interrupted?.(error),
    restored: () => listener.restored?.(),
  });
}

/** One command of the shared inbox as it lies there now. @returns null when it is gone, or not whole yet */
export async function readDelivery(share: Share, id: string): Promise<Delivery | null> {
  const found = await lookUp(share, share.layout.commands, COMMAND_FILES.format(id), LIMITS.commandBytes);
  const content = found === null ? null : wholeContent(found);
  if (found === null || content === null) return null;
  return { inbox: "shared", id, key: deliveryKey(id, found), content, sentAtMs: instantMs(found.facts.mtimeNs) };
}

/** What lies in an inbox and is no command. Dot names are ours or the kernel's, and ignored. */
class StrayNames {
  readonly #share: Share;
  readonly #path: string;
  readonly #inbox: Inbox;
  readonly #listener: Listener;
  #seen = new Set<string>();

  constructor(share: Share, path: string, inbox: Inbox, listener: Listener) {
    this.#share = share;
    this.#path = path;
    this.#inbox = inbox;
    this.#listener = listener;
  }

  async listed(names: readonly string[]): Promise<void> {
    const strays = names.filter((name) => !name.startsWith(".") && COMMAND_FILES.parse(name) === null);
    const before = this.#seen;
    this.#seen = new Set(strays.filter((name) => before.has(name)));
    for (const name of strays) {
      if (this.#seen.has(name)) continue;
      this.#seen.add(name);
      if (!(await this.#isAgentsInbox(name))) this.#listener.refuse?.(name, reasonFor(name));
    }
  }

  /** Gone meanwhile is as good. */
  async #isAgentsInbox(name: string): Promise<boolean> {
    if (this.#inbox !== "shared" || !AgentName.safeParse(name).success) return false;
    try {
      return (await this.#share.fs.lstat(join(this.#path, name))).kind === "folder";
    } catch (error) {
      if (isGone(error)) return true;
      throw error;
    }
  }
}

function reasonFor(name: string): string {
  return name.endsWith(".json") ? "its name is no valid id" : "its name does not end in .json";
}
