// Commands on the share, one file each: published, withdrawn, listed, looked at again, removed.
import { join } from "node:path";
import { within } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { LIMITS } from "../../../protocol.ts";
import type { Delivery, Inbox, Sent } from "../../../transport.ts";
import { isGone } from "../calls/primitives.ts";
import { shareFailure } from "../failures.ts";
import { deliveryKey, wholeContent } from "../files/content.ts";
import { publishFile } from "../files/publish.ts";
import { lookUp, lookUpShown, requireReadable } from "../files/read.ts";
import { removeFile, unlink } from "../files/remove.ts";
import { COMMAND_FILES, type Folder } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../time/share_clock.ts";
import type { Awaited } from "./awaited.ts";

/** Between attempts to withdraw a failed command. */
const RETRY_MS = 1_000;
/** How long `close()` waits for commands that are being withdrawn. */
const LAST_ATTEMPT_MS = 2_000;

/** The commands that one handle sends and receives. */
export class Commands {
  readonly #share: Share;
  readonly #awaited: Awaited;
  readonly #withdrawing = new Set<Promise<void>>();
  #closed = new AbortController();

  /** @param awaited hears of each command before it is sent */
  constructor(share: Share, awaited: Awaited) {
    this.#share = share;
    this.#awaited = awaited;
  }

  /** A command that was reported as failed must not appear later: it is withdrawn. @throws as `Transport.send()` */
  async publish(inbox: Inbox, id: string, text: string, durable: boolean): Promise<void> {
    this.#awaited.expect(id);
    try {
      const folder = this.#share.layout.inbox(inbox);
      if (!(await this.#publish(folder, COMMAND_FILES.format(id), text, durable))) throw noInbox(inbox);
    } catch (error) {
      this.#awaited.settle(id);
      throw error;
    }
  }

  /** @returns whether it was still there */
  async withdraw(inbox: Inbox, id: string): Promise<boolean> {
    this.#awaited.settle(id);
    return await removeFile(this.#share, this.#share.layout.inbox(inbox), COMMAND_FILES.format(id));
  }

  /** Those that are there, with their times. @throws CourierError `not_found` without that inbox */
  async list(inbox: Inbox, wanted: (id: string) => boolean, most: number): Promise<readonly Sent[]> {
    const folder = this.#share.layout.inbox(inbox);
    await requireInbox(this.#share, inbox);
    const found: Sent[] = [];
    for (const name of await this.#share.namesIn(folder)) {
      const id = COMMAND_FILES.parse(name);
      const sentAtMs = id !== null && wanted(id) ? await this.#sentAtMs(folder, id) : null;
      if (id !== null && sentAtMs !== null) found.push({ id, sentAtMs });
      if (found.length === most) break;
    }
    return found;
  }

  async #sentAtMs(folder: Folder, id: string): Promise<number | null> {
    try {
      return instantMs((await this.#share.fs.lstat(join(folder.path, COMMAND_FILES.format(id)))).mtimeNs);
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  /** @returns false when the command was removed or is no longer these bytes */
  async isUnchanged({ inbox, id, key }: Delivery): Promise<boolean> {
    const folder = this.#share.layout.inbox(inbox);
    const name = COMMAND_FILES.format(id);
    // Names of version 2 are used once, those of the shared inbox again and again.
    const isShown =
      inbox !== "shared" && (await this.#share.folder(folder)) !== null && (await this.#share.shows(folder, name));
    const found = await (isShown ? lookUpShown : lookUp)(this.#share, folder, name, LIMITS.commandBytes);
    if (found === null || deliveryKey(id, found) === key) return found !== null;
    requireReadable(found);
    return false;
  }

  /** Removes the command, unless it is no longer these bytes. @returns whether it was there */
  async remove(delivery: Delivery): Promise<boolean> {
    const folder = this.#share.layout.inbox(delivery.inbox);
    if (!(await this.isUnchanged(delivery)) || (await this.#share.folder(folder)) === null) return false;
    return await unlink(this.#share, folder, COMMAND_FILES.format(delivery.id));
  }

  /** Each command that is being withdrawn gets one more attempt. */
  async close(): Promise<void> {
    this.#closed.abort();
    // The handle may connect again.
    this.#closed = new AbortController();
    if (this.#withdrawing.size === 0) return;
    await within(this.#share.clock, LAST_ATTEMPT_MS, Promise.all(this.#withdrawing), null);
  }

  async #publish(folder: Folder, name: string, text: string, durable: boolean): Promise<boolean> {
    const { signal: closed } = this.#closed;
    let mayBeThere = false;
    const renaming = (): void => {
      mayBeThere = true;
    };
    try {
      return await publishFile(this.#share, folder, name, text, { durable, renaming });
    } catch (error) {
      if (!mayBeThere) throw error;
      const withdrawing = this.#withdrawFailed(folder, name, closed).finally(() =>
        this.#withdrawing.delete(withdrawing),
      );
      this.#withdrawing.add(withdrawing);
      const failure = await shareFailure(error, "publish it", folder.path, this.#share);
      if (failure.code !== "unavailable") throw failure;
      throw new CourierError("unavailable", `${failure.message}: whether the command is there is unknown`, {
        hint: "It may still run: check before sending it again",
        cause: error,
      });
    }
  }

  /** Retries until the share answers, or the handle is closed. */
  async #withdrawFailed(folder: Folder, name: string, closed: AbortSignal): Promise<void> {
    const { clock, log } = this.#share;
    for (;;) {
      await this.#share.opened();
      try {
        await removeFile(this.#share, folder, name);
        return;
      } catch (error) {
        const failure = await shareFailure(error, `withdraw ${name}`, folder.path, this.#share);
        log.debug({ error: failure }, "Failed command not withdrawn");
        if (failure.code !== "unavailable" || closed.aborted) return;
      }
      await clock.sleep(RETRY_MS);
    }
  }
}

/**
 * A command of the shared inbox as it is now.
 * @returns null when it is gone or not complete yet
 * @throws the system's error when this user may not read it
 */
export async function readCommand(share: Share, id: string): Promise<Delivery | null> {
  const found = await lookUp(share, share.layout.commands, COMMAND_FILES.format(id), LIMITS.commandBytes);
  if (found !== null) requireReadable(found);
  const content = found === null ? null : wholeContent(found);
  if (found === null || content === null) return null;
  return { inbox: "shared", id, key: deliveryKey(id, found), content, sentAtMs: instantMs(found.facts.mtimeNs) };
}

/** @throws CourierError `not_found` when the agent was never there */
export async function requireInbox(share: Share, inbox: Inbox): Promise<void> {
  if ((await share.folder(share.layout.inbox(inbox))) === null) throw noInbox(inbox);
}

function noInbox(inbox: Inbox): CourierError {
  const agent = inbox === "shared" ? "shared" : inbox.agent;
  return new CourierError("not_found", `No agent has an inbox as ${JSON.stringify(agent)}`);
}
