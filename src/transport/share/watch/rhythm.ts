// The contract between a watch and what tells it when to look. Imports types.
import type { Awaitable, Facts } from "../calls/primitives.ts";

/** When a folder is listed, and what wakes its watch before. */
export interface Rhythm {
  /** Called when a listing is due. @returns how long it must still wait, in ms; 0: not at all */
  beforeListing(): Awaitable<number>;
  /**
   * Called before each listing with the folder as it is now.
   * @returns whether events have told of every change since the call before; otherwise files must be looked at again
   */
  prepare(folder: Facts): boolean;
  /** Receives each fresh listing. */
  listed(names: readonly string[]): void;
  /** Until the next listing. */
  intervalMs(): number;
  /** Something came, or is expected to come soon. */
  stir(): void;
  close(): void;
}
