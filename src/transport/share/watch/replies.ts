// An address for replies in use: its folder, its owner's sign of life, and the watch on the responses.
import { LIMITS } from "../../../protocol.ts";
import type { Closable, Reply, ReplyAddress } from "../../../transport.ts";
import type { Facts } from "../calls/primitives.ts";
import { publishFile } from "../files/publish.ts";
import { discard, removeFolder } from "../files/remove.ts";
import { type Folder, RESPONSE_FILES } from "../layout.ts";
import type { Awaited } from "../messages/awaited.ts";
import type { Share } from "../share.ts";
import { guarded } from "./callback_guard.ts";
import { KnownFiles } from "./known_files.ts";
import { Watch } from "./watch.ts";

const RENEWED_EVERY_MS = 3_600_000;
const RETRY_MS = 60_000;
/** A response may arrive while the folder is being emptied. */
const REMOVAL_ATTEMPTS = 3;

export interface RepliesDeps {
  readonly share: Share;
  readonly awaited: Awaited;
  /** Whether an id is this sender's; asked at the shared address only. */
  readonly wanted: (id: string) => boolean;
  /** Whether the reply is the one that is awaited under its id. */
  readonly accept: (reply: Reply) => boolean;
}

/** In use once `open()` has resolved. */
export class Replies implements Closable {
  readonly #share: Share;
  readonly #awaited: Awaited;
  readonly #folder: Folder;
  readonly #isOwn: boolean;
  readonly #closed = new AbortController();
  readonly #files: KnownFiles;
  #watch: Watch | null = null;
  #unsubscribe: (() => void) | null = null;

  constructor(address: ReplyAddress, { share, awaited, wanted, accept }: RepliesDeps) {
    this.#share = share;
    this.#awaited = awaited;
    this.#folder = share.layout.replies(address);
    this.#isOwn = address !== "shared";
    this.#files = new KnownFiles({
      share,
      folder: this.#folder,
      maxBytes: LIMITS.responseBytes,
      idOf: (name) => {
        const id = RESPONSE_FILES.parse(name);
        return id !== null && (this.#isOwn || wanted(id)) ? id : null;
      },
      emit: ({ id, content }) => {
        guarded(share.log, () => {
          if (accept({ id, content })) awaited.settle(id);
        });
      },
    });
  }

  async open(): Promise<void> {
    await this.#make();
    const watch = new Watch({
      share: this.#share,
      folder: this.#folder,
      files: this.#files,
      awaitedSinceMs: () => this.#awaited.sinceMs(),
      remake: async () => await this.#make(),
    });
    this.#watch = watch;
    this.#unsubscribe = this.#awaited.subscribe(() => watch.stir());
    if (this.#isOwn) void this.#stayAlive();
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#unsubscribe?.();
    await this.#watch?.close();
    if (!this.#isOwn) return;
    try {
      await this.#remove();
    } catch (error) {
      this.#share.log.debug({ error, folder: this.#folder.path }, "Reply folder left behind");
    }
  }

  async #make(): Promise<Facts> {
    const facts = await this.#share.madeFolder(this.#folder);
    if (this.#isOwn) await this.#giveSignOfLife();
    return facts;
  }

  async #giveSignOfLife(): Promise<void> {
    await publishFile(this.#share, this.#folder, this.#share.layout.signOfLife, "", { durable: false });
  }

  async #stayAlive(): Promise<void> {
    const { clock, log } = this.#share;
    let waitMs = RENEWED_EVERY_MS;
    for (;;) {
      await clock.sleep(waitMs, this.#closed.signal);
      if (this.#closed.signal.aborted) return;
      try {
        await this.#giveSignOfLife();
        waitMs = RENEWED_EVERY_MS;
      } catch (error) {
        log.debug({ error, folder: this.#folder.path }, "Sign of life not renewed");
        waitMs = RETRY_MS;
      }
    }
  }

  /** Removes our files, including a nudge that a stall left behind, and then the folder if it is empty. */
  async #remove(): Promise<void> {
    const { fs, layout } = this.#share;
    for (let attempt = 1; (await this.#share.folder(this.#folder)) !== null; attempt++) {
      for (const name of await fs.readdir(this.#folder.path)) {
        const isOurs = name === layout.signOfLife || RESPONSE_FILES.parse(name) !== null || layout.isNudge(name);
        if (isOurs) await this.#share.inside([this.#folder], async (at) => await discard(this.#share, at(name)));
      }
      try {
        await removeFolder(this.#share, this.#folder);
      } catch (error) {
        if (attempt === REMOVAL_ATTEMPTS) throw error;
      }
    }
  }
}
