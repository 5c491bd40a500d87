// When a watched folder is listed: the contract between the watch and the rhythm of its kind of file system.
import type { Awaitable, Facts } from "../calls/primitives.ts";

export interface Rhythm {
  /** Called when a listing is due. @returns how long it must still wait, in ms */
  beforeListing(): Awaitable<number>;
  /**
   * Called before each listing with the folder as it is now.
   * @returns whether events have reported every change since the previous call; otherwise files must be looked at again
   */
  prepare(folder: Facts): boolean;
  /** The folder was gone, made again or reported removed. The one that has its name now may even have its inode number. */
  replaced(): void;
  /** Receives each fresh listing. */
  listed(names: readonly string[]): void;
  /** Until the next listing. */
  intervalMs(): number;
  /** Something came, or is expected to come soon. */
  stir(): void;
  close(): void;
}
