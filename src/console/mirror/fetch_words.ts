// A fetch into the mirror in words: its state, and how far it is.
import { formatBytes, formatDuration } from "../../base/format.ts";
import type { FetchDocument } from "../../documents/models/mirror.ts";
import type { Tone } from "../parts/status.tsx";

export function stateOf({ state, error }: FetchDocument): { readonly tone: Tone; readonly words: string } {
  switch (state) {
    case "queued":
      return { tone: "idle", words: "Queued" };
    case "running":
      return error === null ? { tone: "busy", words: "Fetching" } : { tone: "warn", words: "Retrying" };
    case "succeeded":
      return { tone: "good", words: "Fetched" };
    case "failed":
      return { tone: "bad", words: "Failed" };
    case "cancelled":
      break;
  }
  return { tone: "idle", words: "Canceled" };
}

/** From 0 to 1; null while the size is unknown. */
export function fractionOf({ completed_bytes: done, total_bytes: total, state }: FetchDocument): number | null {
  if (state === "succeeded") return 1;
  return total === null || total === 0 ? null : Math.min(1, done / total);
}

/** `3.9 GB of 9.1 GB · 56.0 MB/s · 1 min 33 s left`, as far as it is known. */
export function progressOf(fetch: FetchDocument): string {
  const { state, completed_bytes: done, total_bytes: total, bytes_per_second: speed } = fetch;
  if (state === "queued") return "Waiting for its turn";
  const parts = [total === null ? "asking the registry" : `${formatBytes(done)} of ${formatBytes(total)}`];
  if (speed !== null && speed > 0) {
    parts.push(`${formatBytes(speed)}/s`);
    if (total !== null && total > done) parts.push(`${formatDuration((total - done) / speed)} left`);
  }
  return parts.join(" · ");
}
