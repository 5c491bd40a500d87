// An address for replies in use: its folder, the sign that its owner lives, and the watch on what comes. Imports protocol.
import { join } from "node:path";
import { LIMITS } from "../../../protocol.ts";
import type { Closable, Reply, ReplyAddress } from "../../../transport.ts";
import type { Facts } from "../calls/primitives.ts";
import { discard, publishFile } from "../files/publish.ts";
import { type Folder, RESPONSE_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { Box } from "./known_files.ts";
import { Watch } from "./watch.ts";

/** Its mtime says that somebody still reads here; a day old, the folder is swept. */
export const SIGN_OF_LIFE = ".alive";
const RENEWED_EVERY_MS = 3_600_000;
const RETRY_MS = 60_000;
/** An answer may arrive while the folder is being emptied. */
const REMOVAL_ATTEMPTS = 3;

/** Opened when `open()` resolved. */
export class Replies implements Closable {
  readonly #share: Share;
  readonly #folder: Folder;
  readonly #isOwn: boolean;
  readonly #closed = new AbortController();
  readonly #box: Box;
  /** Ids of commands that were sent and not answered yet. */
  readonly #awaited = new Set<string>();
  #awaitedSinceMs = 0;
  #watch: Watch | null = null;

  constructor(share: Share, address: ReplyAddress, wanted: (id: string) => boolean, deliver: (reply: Reply) => void) {
    this.#share = share;
    this.#folder = share.layout.replies(address);
    this.#isOwn = address !== "shared";
    this.#box = new Box({
      share,
      path: this.#folder.path,
      maxBytes: LIMITS.responseBytes,
      idOf: (name) => {
        const id = RESPONSE_FILES.parse(name);
        return id !== null && (this.#isOwn || wanted(id)) ? id : null;
      },
      emit: ({ id, content }) => deliver({ id, content }),
    });
  }

  async open(): Promise<void> {
    await this.#make();
    const [share, folder, box] = [this.#share, this.#folder, this.#box];
    const awaitedSinceMs = (): number | null => (this.#awaited.size === 0 ? null : this.#awaitedSinceMs);
    this.#watch = new Watch({ share, folder, box, awaitedSinceMs, remake: async () => await this.#make() });
    if (this.#isOwn) void this.#stayAlive();
  }

  /** A command is being sent: its answer will come here soon. */
  expect(id: string): void {
    this.#awaited.add(id);
    this.#awaitedSinceMs = this.#share.clock.monotonic();
    this.#watch?.stir();
  }

  /** Its answer came, or nobody waits for it any more. */
  settle(id: string): void {
    this.#awaited.delete(id);
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    await this.#watch?.close();
    if (!this.#isOwn) return;
    try {
      await this.#remove();
    } catch (error) {
      this.#share.log.debug({ error, folder: this.#folder.path }, "reply folder left behind");
    }
  }

  async #make(): Promise<Facts> {
    const facts = await this.#share.madeFolder(this.#folder);
    if (this.#isOwn) await publishFile(this.#share, this.#folder, SIGN_OF_LIFE, "", { durable: false });
    return facts;
  }

  async #stayAlive(): Promise<void> {
    const { clock, log } = this.#share;
    let waitMs = RENEWED_EVERY_MS;
    for (;;) {
      await clock.sleep(waitMs, this.#closed.signal);
      if (this.#closed.signal.aborted) return;
      try {
        await publishFile(this.#share, this.#folder, SIGN_OF_LIFE, "", { durable: false });
        waitMs = RENEWED_EVERY_MS;
      } catch (error) {
        log.debug({ error, folder: this.#folder.path }, "sign of life not renewed");
        waitMs = RETRY_MS;
      }
    }
  }

  /** Removes what is ours, also what a stall left of a nudge, and the folder when nothing else lies in it. */
  async #remove(): Promise<void> {
    const { fs, layout } = this.#share;
    for (let attempt = 1; (await this.#share.folder(this.#folder)) !== null; attempt++) {
      for (const name of await fs.readdir(this.#folder.path)) {
        const isOurs = name === SIGN_OF_LIFE || RESPONSE_FILES.parse(name) !== null || layout.isNudge(name);
        if (isOurs) await discard(this.#share, join(this.#folder.path, name));
      }
      try {
        await fs.rmdir(this.#folder.path);
      } catch (error) {
        if (attempt === REMOVAL_ATTEMPTS) throw error;
      }
    }
  }
}
