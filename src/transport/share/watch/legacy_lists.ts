// The cure of legacy backends on this machine, whose kernel keeps a "not there" for longer than they wait.
// Imports the seam's types and the driver's own files.
import { join } from "node:path";
import type { Closable } from "../../../transport.ts";
import { isGone } from "../failures.ts";
import { COMMAND_FILES } from "../layout.ts";
import type { Share } from "../share.ts";
import { instantMs } from "../share_clock.ts";

/** How often it is looked whether a legacy backend waits. */
const LOOK_EVERY_MS = 1_000;
/** Legacy backends look every second: half of that lets them see an answer at their next look. */
const CURE_EVERY_MS = 500;
/** A legacy backend waits for 30 s; its kernel remembers for up to 60. */
const WAITED_FOR_MS = 60_000;
/** New names that are looked at in one round: a folder full of leftovers takes several. */
const NEW_NAMES = 64;

/**
 * While a command younger than 60 s lies in the shared inbox, lists the folder of the answers every 500 ms. An old
 * backend asks for its answer by name before it is there; the kernel remembers that, for every process on this mount,
 * until somebody lists the folder again.
 * @see docs/protocol.md, Legacy programs
 */
export class Cure implements Closable {
  readonly #share: Share;
  readonly #closed = new AbortController();
  readonly #ended: Promise<void>;
  /** Until when each name in the shared inbox may be waited for, on the share's clock. */
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
        log.debug({ error }, "legacy backends not cured");
      }
      await clock.sleep(isWaitedFor ? CURE_EVERY_MS : LOOK_EVERY_MS, signal);
    }
  }

  /** @returns whether a legacy backend may wait for the answer to one of them */
  async #lookForCommands(): Promise<boolean> {
    const { fs, layout, time } = this.#share;
    await this.#share.folder(layout.commands, "read");
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
