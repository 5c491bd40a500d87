// Where servers keep on NATS what they share, over a connection of its own.
import type { Log } from "../../../base/log.ts";
import { Bucket } from "../../../transport/nats/calls/bucket.ts";
import { Connection } from "../../../transport/nats/calls/connection.ts";
import { LogStream } from "../../../transport/nats/calls/log_stream.ts";
import { Streams } from "../../../transport/nats/calls/streams.ts";
import { Layout } from "../../../transport/nats/layout.ts";
import { type NatsAddress, type NatsOptions, requirePrefix } from "../../../transport/nats/options.ts";

export interface PlacesOptions {
  readonly address: NatsAddress;
  readonly options: NatsOptions;
  readonly log: Log;
}

export interface Places {
  readonly connection: Connection;
  readonly streams: Streams;
  /** Of the records. */
  readonly bucket: Bucket;
  /** The log of ended jobs. */
  readonly ends: LogStream;
  readonly audit: LogStream;
  readonly webhooks: LogStream;
  /** On how many servers each is kept, when this program makes it. */
  readonly replicas: number;
}

/** Connects nothing yet. @throws CourierError `invalid` for a prefix that cannot be one */
export function placesOn({ address, options, log }: PlacesOptions): Places {
  const layout = new Layout(requirePrefix(options.prefix));
  const { prefix } = layout;
  const connection = new Connection({ address, options, identity: undefined, log });
  return {
    connection,
    streams: new Streams(connection, layout),
    bucket: new Bucket(connection, layout, "server"),
    ends: new LogStream(connection, { name: `${prefix}_ends`, prefix: `${prefix}.ends` }),
    audit: new LogStream(connection, { name: `${prefix}_audit`, prefix: `${prefix}.audit` }),
    webhooks: new LogStream(connection, { name: `${prefix}_webhooks`, prefix: `${prefix}.webhooks` }),
    replicas: options.replicas ?? 1,
  };
}
