// Examines NATS for `doctor`: whether it answers, lets this program in, and is set up well.
import { about, type Check } from "../../base/check.ts";
import { CLOCK_OFF_MS, type Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import { formatDuration } from "../../base/format.ts";
import type { Connection } from "./calls/connection.ts";
import type { ServerClock } from "./calls/server_clock.ts";
import { MAX_ENTRY_BYTES, type Streams } from "./calls/streams.ts";
import { BUCKETS, type BucketName } from "./layout.ts";
import { checkVersion } from "./server_version.ts";

export interface ExamineDeps {
  readonly connection: Connection;
  readonly streams: Streams;
  readonly time: ServerClock;
  readonly clock: Clock;
}

/** Of a connection that is open. A check that depends on a failed one is left out. */
export async function* examineNats(deps: ExamineDeps): AsyncIterable<Check> {
  const { connection, time, clock } = deps;
  const beganAtMs = clock.monotonic();
  try {
    await connection.flush();
  } catch (error) {
    yield about("nats").failedBy(error);
    return;
  }
  const { version, max_payload: maxPayload } = serverInfo(connection);
  yield about("nats").ok(
    `${connection.description} answers in ${formatDuration(clock.monotonic() - beganAtMs)}, version ${version}`,
  );
  yield checkVersion(version);
  yield maxPayload >= MAX_ENTRY_BYTES
    ? about("payload").ok(`Takes messages of up to ${maxPayload} bytes`)
    : about("payload").failed(
        `Takes messages of up to ${maxPayload} bytes only`,
        "Set max_payload: 8MB in the configuration of nats-server",
      );
  for (const bucket of BUCKETS) yield await checkBucket(deps, bucket);
  try {
    await time.learn();
  } catch (error) {
    yield about("clock").failedBy(error);
    return;
  }
  const offMs = Math.abs(time.now() - clock.now());
  yield offMs < CLOCK_OFF_MS
    ? about("clock").ok("This machine's clock agrees with the server's")
    : about("clock").warning(
        `This machine's clock and the server's differ by ${formatDuration(offMs)}`,
        "Run a time service on both, such as chrony",
      );
}

async function checkBucket({ streams }: ExamineDeps, bucket: BucketName): Promise<Check> {
  try {
    const { differs, replicas } = await streams.settings(bucket);
    if (differs.length === 0) return about("bucket", bucket).ok(`Is there, on ${replicas} server(s)`);
    return about("bucket", bucket).failed(
      `Has other settings than this release makes: ${differs.join(", ")}`,
      "Remove the stream once all agents are stopped; gpu-server makes it again",
    );
  } catch (error) {
    // An agent with plain permissions may not look: it would see the names of all keys.
    if (error instanceof CourierError && error.code === "forbidden")
      return about("bucket", bucket).ok("Not for this program to see");
    return about("bucket", bucket).failedBy(error);
  }
}

function serverInfo(connection: Connection): { readonly version: string; readonly max_payload: number } {
  const info = connection.nats.info;
  return { version: info?.version ?? "0", max_payload: info?.max_payload ?? 0 };
}
