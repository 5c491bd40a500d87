// Copies a server's own log of ended jobs to NATS, with its numbers.
import { CourierError } from "../../../../base/errors.ts";
import type { LogStream } from "../../../../transport/nats/calls/log_stream.ts";
import type { EndedJobs } from "../../ended_jobs.ts";
import { endKey } from "./pending_ends.ts";
import { endText } from "./shared_ends.ts";

const AT_ONCE = 100;

interface Target {
  readonly stream: Pick<LogStream, "add">;
  /** The last number that is there. */
  readonly after: number;
}

interface Numbered {
  readonly number: number;
  readonly key: string;
  readonly text: string;
}

/** @returns how many ends @throws CourierError `conflict` when something else writes there meanwhile */
export async function copyEnds(log: EndedJobs, { stream, after }: Target): Promise<number> {
  let [next, copied] = [after + 1, 0];
  for (;;) {
    const ends = log.numbered(next - 1, AT_ONCE);
    if (ends.length === 0) return copied;
    const entries: Numbered[] = [];
    for (const { number, job, atMs } of ends) {
      // An empty entry where a number is missing.
      for (; next < number; next++) entries.push({ number: next, key: `-.${next}`, text: "" });
      entries.push({ number, key: endKey(job), text: endText({ job, atMs }, false) });
      next = number + 1;
    }
    const numbers = await Promise.all(entries.map(async ({ key, text }) => await stream.add(key, text)));
    if (entries.some(({ number }, index) => numbers[index] !== number))
      throw new CourierError("conflict", "Another program writes to the log of ended jobs on NATS", {
        hint: "Stop all gpu-servers first",
      });
    copied += ends.length;
  }
}
