// Callbacks of subscribers: one that throws must not end the watch that calls it.
import type { Log } from "../../../base/log.ts";

export function guarded(log: Log, call: () => void): void {
  try {
    call();
  } catch (error) {
    log.error({ error }, "A subscriber failed");
  }
}
