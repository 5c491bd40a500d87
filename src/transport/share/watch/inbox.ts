// An inbox of the share under watch: commands become deliveries, stray names are refused once.
import { join } from "node:path";
import { AgentName, LIMITS } from "../../../protocol.ts";
import type { Inbox, Listener } from "../../../transport.ts";
import { isGone } from "../calls/primitives.ts";
import { COMMAND_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../time/share_clock.ts";
import { guarded } from "./callback_guard.ts";
import { KnownFiles } from "./known_files.ts";
import { Watch } from "./watch.ts";

export function watchInbox(share: Share, inbox: Inbox, listener: Listener): Watch {
  const folder = share.layout.inbox(inbox);
  const strays = new StrayNames(share, folder.path, inbox, listener);
  const files = new KnownFiles({
    share,
    folder,
    maxBytes: LIMITS.commandBytes,
    idOf: (name) => COMMAND_FILES.parse(name),
    emit: ({ id, key, content, mtimeNs }) => {
      guarded(share.log, () => listener.deliver({ inbox, id, key, content, sentAtMs: instantMs(mtimeNs) }));
    },
    hasRoom: () => listener.hasRoom?.() ?? true,
  });
  return new Watch({
    share,
    folder,
    files,
    remake: async () => await share.madeFolder(folder),
    listed: async (names) => await strays.listed(names),
    leftOut: (count) => guarded(share.log, () => listener.waiting?.(count)),
    complete: () => guarded(share.log, () => listener.complete?.()),
    interrupted: (error) => guarded(share.log, () => listener.interrupted?.(error)),
    restored: () => guarded(share.log, () => listener.restored?.()),
  });
}

/** As many names that are not commands are remembered: those of agents' inboxes, of which the shared one has any number. */
const STRAYS = LIMITS.states;

/** Names in an inbox that are not commands. Dot names are ours or the kernel's, and ignored. */
class StrayNames {
  readonly #share: Share;
  readonly #path: string;
  readonly #inbox: Inbox;
  readonly #listener: Listener;
  #seen = new Set<string>();
  #leftOut = 0;

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
    this.#reportLeftOut(strays.length - STRAYS);
    for (const name of strays) {
      if (this.#seen.size >= STRAYS) return;
      if (this.#seen.has(name)) continue;
      this.#seen.add(name);
      if (await this.#isAgentsInbox(name)) continue;
      guarded(this.#share.log, () => this.#listener.refuse?.(name, reasonFor(name)));
    }
  }

  /** Logs once that names are left out. */
  #reportLeftOut(count: number): void {
    const before = this.#leftOut;
    this.#leftOut = Math.max(0, count);
    const about = { leftOut: this.#leftOut, folder: this.#path };
    if (before === 0 && count > 0)
      this.#share.log.warn(about, "Too many names that are not commands: some are not reported");
  }

  /** Also true for a name that is gone by now. */
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
  return name.endsWith(".json") ? "its name is not a valid id" : "its name does not end in .json";
}
