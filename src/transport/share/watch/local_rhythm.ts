// Watching on a local disk: inotify reports changes at once, a listing each second is the safety net.
import { type FSWatcher, watch } from "node:fs";
import type { Log } from "../../../base/log.ts";
import type { Facts } from "../calls/primitives.ts";
import type { Rhythm } from "./rhythm.ts";

const SAFETY_LISTING_MS = 1_000;
/** Without events: inotify has run out of instances, or the folder was just replaced. */
const WITHOUT_EVENTS_MS = 200;

export class LocalRhythm implements Rhythm {
  readonly #path: string;
  readonly #changed: (name: string | null) => void;
  readonly #log: Log;
  #watcher: FSWatcher | null = null;
  #watched: Facts | null = null;
  #isReplaced = false;
  #hasFailed = false;

  /** @param changed receives the name that an event carried */
  constructor(path: string, changed: (name: string | null) => void, log: Log) {
    this.#path = path;
    this.#changed = changed;
    this.#log = log;
  }

  beforeListing(): number {
    return 0;
  }

  prepare(folder: Facts): boolean {
    if (this.#watcher === null) {
      this.#open(folder);
      return false;
    }
    const isSame = this.#watched?.ino === folder.ino && this.#watched.dev === folder.dev;
    if (isSame && !this.#isReplaced) return true;
    // Replaced. Bun keeps one inotify watch per path and process, also for a folder that is gone, until its last user
    // closes it (seen with 1.4.5): so all close in this round, and open in the next.
    this.close();
    return false;
  }

  replaced(): void {
    this.#isReplaced = this.#watcher !== null;
  }

  listed(): void {}

  intervalMs(): number {
    return this.#watcher === null ? WITHOUT_EVENTS_MS : SAFETY_LISTING_MS;
  }

  stir(): void {}

  close(): void {
    this.#watcher?.close();
    this.#watcher = null;
    this.#watched = null;
    this.#isReplaced = false;
  }

  #open(folder: Facts): void {
    try {
      const watcher = watch(this.#path, (_, name) => this.#changed(name));
      watcher.on("error", () => {
        if (this.#watcher === watcher) this.close();
      });
      this.#watcher = watcher;
      this.#watched = folder;
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed)
        this.#log.warn({ error, folder: this.#path }, "Cannot watch for events; listing the folder instead");
      this.#hasFailed = true;
    }
  }
}
