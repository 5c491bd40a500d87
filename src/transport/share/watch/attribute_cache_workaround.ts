// The attribute-cache workaround for legacy backends on this machine: its kernel remembers "no such file" longer than they wait.
import { join } from "node:path";
import type { Closable } from "../../../transport.ts";
import { isGone } from "../calls/primitives.ts";
import { COMMAND_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../time/share_clock.ts";

/** How often to check whether a legacy backend is waiting. */
const LOOK_EVERY_MS = 1_000;
/** Legacy backends look every second: with half of that they see a response at their next look. */
const LIST_EVERY_MS = 500;
/** A legacy backend waits for 30 s; its kernel remembers for up to 60. */
const WAITED_FOR_MS = 60_000;
/** New names to look at in one round: a folder full of leftovers takes several. */
const NEW_NAMES = 64;

/**
 * While a command younger than 60 s is in the shared inbox, lists the folder of the responses every 500 ms. A legacy
 * backend asks for its response by name before it exists. The kernel remembers that, for every process on this mount,
 * until a process lists the folder again.
 * @see docs/protocol.md, Legacy programs
 */
export class AttributeCacheWorkaround implements Closable {
  readonly #share: Share;
  readonly #closed = new AbortController();
  readonly #ended: Promise<void>;
  /** Until when a legacy backend may wait for each name in the shared inbox, on the share's clock. */
  readonly #untilMs = new Map<string, number>();

  constructor(share: Share) {
    this.#share = share;
    this.#ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#share;
    const { signal } = this.#closed;
    while (!signal.aborted) {
      let isWaitedFor = false;
      try {
        isWaitedFor = this.#share.isNetwork && (await this.#lookForCommands());
        if (isWaitedFor) await this.#share.fs.readdir(this.#share.layout.status.path);
      } catch (error) {
        log.debug({ error }, "Folder of responses not listed for legacy backends");
      }
      await clock.sleep(isWaitedFor ? LIST_EVERY_MS : LOOK_EVERY_MS, signal);
    }
  }

  /** @returns whether a legacy backend may be waiting for the response to one of them */
  async #lookForCommands(): Promise<boolean> {
    const { fs, layout, time } = this.#share;
    await this.#share.folder(layout.commands);
    const listed = new Set(await fs.readdir(layout.commands.path));
    for (const name of this.#untilMs.keys()) if (!listed.has(name)) this.#untilMs.delete(name);
    const fresh = [...listed].filter((name) => !this.#untilMs.has(name) && COMMAND_FILES.parse(name) !== null);
    for (const name of fresh.slice(0, NEW_NAMES))
      this.#untilMs.set(name, (await this.#publishedAtMs(name)) + WAITED_FOR_MS);
    const nowMs = time.now();
    return [...this.#untilMs.values()].some((untilMs) => untilMs > nowMs);
  }

  async #publishedAtMs(name: string): Promise<number> {
    const { fs, layout } = this.#share;
    try {
      return instantMs((await fs.lstat(join(layout.commands.path, name))).mtimeNs);
    } catch (error) {
      if (isGone(error)) return Number.NEGATIVE_INFINITY;
      throw error;
    }
  }
}
