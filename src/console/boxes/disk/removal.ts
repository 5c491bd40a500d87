// What a cleanup of a disk would remove, and what it keeps.
import type { PrunedDocument } from "../../../documents/models/disk.ts";

export type Pruned = NonNullable<PrunedDocument["agents"][number]["pruned"]>;
export type Kind = Pruned["removed"][number]["kind"];

interface Sum {
  readonly count: number;
  readonly bytes: number;
}

/** What a dry run found to remove. */
export function removable({ removed }: Pruned, kinds: ReadonlySet<Kind>): Sum {
  const wanted = removed.filter(({ kind }) => kinds.has(kind));
  return { count: wanted.length, bytes: wanted.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** What a prune may remove: kinds that are chosen, and of which something was found. Nobody has seen the others. */
export function agreedOf(found: Pruned, kinds: ReadonlySet<Kind>) {
  const isAgreed = (kind: Kind): boolean => kinds.has(kind) && removable(found, new Set([kind])).count > 0;
  return { partials: isAgreed("partial"), orphans: isAgreed("orphan") };
}

/** Each reason why something stays, with how much. */
export function keptReasons({ kept }: Pruned): readonly (readonly [reason: string, sum: Sum])[] {
  const byReason = Map.groupBy(kept, ({ reason }) => reason);
  return [...byReason].map(([reason, of]) => {
    return [reason, { count: of.length, bytes: of.reduce((sum, { bytes }) => sum + bytes, 0) }] as const;
  });
}
