// The input of every part of an examination: the share's files, and its top folders as they were found.
import type { Clock } from "../../../base/clock.ts";
import type { Facts, Primitives } from "../calls/primitives.ts";
import type { Layout } from "../layout.ts";

/** Every call passes one gate: a share that hangs ends each part of the examination soon. */
export interface Ground {
  readonly layout: Layout;
  readonly fs: Primitives;
  readonly clock: Clock;
}

/** A top folder and the names in it: the parts ask only for names that this listing has shown. */
export interface Top {
  readonly path: string;
  readonly facts: Facts;
  readonly names: readonly string[];
}
