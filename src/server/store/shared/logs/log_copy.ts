// Follows a log on NATS into a copy: entries that arrive together are taken together.
import type { Log } from "../../../../base/log.ts";
import type { LogEntry, LogReading, LogStream } from "../../../../transport/nats/calls/log_stream.ts";
import { Copying } from "./copying.ts";

export interface CopyReading extends LogReading {
  /** Resolves when the copy has what the log had at the beginning. */
  readonly caughtUp: Promise<void>;
}

interface Extent {
  /** The copy has everything up to this number. */
  readonly from: number;
  /** The log's newest number at the beginning. */
  readonly last: number;
}

/** @param take writes the entries, which come in order, into the copy */
export async function followInto(
  stream: Pick<LogStream, "follow">,
  { from, last }: Extent,
  take: (entries: readonly LogEntry[]) => void,
  log: Log,
): Promise<CopyReading> {
  const caughtUp = Promise.withResolvers<void>();
  if (from >= last) caughtUp.resolve();
  const copying = new Copying(log);
  let arrived: LogEntry[] = [];
  const reading = await stream.follow(from + 1, (entry) => {
    // An old reading would leave a gap.
    if (copying.isOver) return;
    arrived.push(entry);
    if (arrived.length > 1) return;
    setImmediate(() =>
      copying.run(() => {
        const entries = arrived;
        arrived = [];
        take(entries);
        if ((entries.at(-1)?.number ?? 0) >= last) caughtUp.resolve();
      }),
    );
  });
  return copying.following({ ...reading, caughtUp: caughtUp.promise });
}
