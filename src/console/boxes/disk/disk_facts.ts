// Figures of a measured disk: what its parts take.
import type { DiskDocument } from "../../../documents/models/disk.ts";

export type Usage = NonNullable<DiskDocument["agents"][number]["usage"]>;

interface DiskPart {
  readonly id: "models" | "partials" | "orphans" | "other" | "free";
  readonly title: string;
  readonly bytes: number;
}

/** All of the disk, in the order of the picture. Parts without a byte are left out. */
export function partsOf(usage: Usage): readonly DiskPart[] {
  const { models_bytes: models, partials_bytes: partials, orphans_bytes: orphans } = usage;
  const used = Math.max(0, usage.total_bytes - usage.free_bytes);
  const parts: readonly DiskPart[] = [
    { id: "models", title: "Models", bytes: models },
    { id: "partials", title: "Unfinished downloads", bytes: partials },
    { id: "orphans", title: "Orphaned blobs", bytes: orphans },
    { id: "other", title: "Everything else", bytes: Math.max(0, used - models - partials - orphans) },
    { id: "free", title: "Free", bytes: usage.free_bytes },
  ];
  return parts.filter(({ bytes }) => bytes > 0);
}

/** The largest first. */
export function largestFirst({ models }: Usage): Usage["models"] {
  return models.toSorted((a, b) => b.own_bytes + b.shared_bytes - (a.own_bytes + a.shared_bytes));
}
