// What failures of JetStream mean for callers.
import { expect, test } from "bun:test";
import { JetStreamApiError } from "@nats-io/jetstream";
import { natsFailure } from "#src/transport/nats/calls/failures.ts";

test.each([
  ["unavailable", 500, 10_012, "error creating store for consumer"],
  ["unavailable", 503, 10_008, "JetStream system temporarily unavailable"],
  ["unavailable", 503, 10_039, "JetStream not enabled for account"],
  ["exhausted", 503, 10_077, "maximum bytes exceeded"],
  ["exhausted", 503, 10_077, "write 1.blk: no space left on device"],
  ["exhausted", 503, 10_023, "insufficient resources"],
  ["internal", 400, 10_052, "invalid configuration"],
])("natsFailure() is %s for status %d and code %d, %s", (code, status, errorCode, description) => {
  const error = new JetStreamApiError({ code: status, err_code: errorCode, description });
  const failure = natsFailure(error, "read states", "nats at there");
  expect([failure.code, failure.cause]).toEqual([code, error]);
});
