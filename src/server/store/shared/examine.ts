// Examines for `doctor` what servers share on NATS: whether it is there, set up as this release does it, and can be written.
import { about, type Check } from "../../../base/check.ts";
import type { Bucket } from "../../../transport/nats/calls/bucket.ts";
import type { LogStream } from "../../../transport/nats/calls/log_stream.ts";
import type { Streams } from "../../../transport/nats/calls/streams.ts";

interface Bounds {
  readonly mostEntries: number;
  readonly mostBytes: number;
  readonly keptMs: number;
}

export interface ExamineStoreDeps {
  readonly bucket: Pick<Bucket, "put">;
  readonly streams: Pick<Streams, "settings">;
  /** With the bounds that each should have. */
  readonly logs: readonly { readonly stream: Pick<LogStream, "name" | "settings" | "probe">; readonly kept: Bounds }[];
}

interface Place {
  readonly name: string;
  readonly settings: () => Promise<{ readonly differs: readonly string[]; readonly replicas: number }>;
  readonly write: () => Promise<unknown>;
}

/** Of no kind of records: every server skips it. */
const PROBE = "doctor.probe";
const PROBE_MS = 60_000;

export async function* examineStore({ bucket, streams, logs }: ExamineStoreDeps): AsyncIterable<Check> {
  yield await checkPlace({
    name: "server",
    settings: async () => await streams.settings("server"),
    write: async () => await bucket.put(PROBE, "", { ttlMs: PROBE_MS }),
  });
  for (const { stream, kept } of logs)
    yield await checkPlace({
      name: stream.name,
      settings: async () => await stream.settings(kept),
      write: async () => await stream.probe(),
    });
}

async function checkPlace({ name, settings, write }: Place): Promise<Check> {
  const check = about("store", name);
  try {
    const { differs, replicas } = await settings();
    await write();
    if (differs.length === 0) return check.ok(`Is there and can be written, on ${replicas} server(s)`);
    return check.failed(
      `Has other settings than this release makes: ${differs.join(", ")}`,
      "Stop all gpu-servers and remove it: the next one makes it again, without what it has now",
    );
  } catch (error) {
    return check.failedBy(error);
  }
}
