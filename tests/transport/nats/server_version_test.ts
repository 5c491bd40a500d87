// checkVersion(): which versions of nats-server are refused, and which are warned of.
import { expect, test } from "bun:test";
import { checkVersion } from "#src/transport/nats/server_version.ts";

test.each([
  ["2.9.10", "failed"],
  ["2.10.29", "failed"],
  ["2.11.0", "warning"],
  ["2.11.14", "warning"],
  ["2.11.15", "ok"],
  ["2.12.0-preview.1", "warning"],
  ["2.12.5", "warning"],
  ["2.12.6", "ok"],
  ["2.14.0", "ok"],
  ["2.15.0-dev", "ok"],
  ["3.0.0", "ok"],
  ["", "failed"],
])("checkVersion() of %p: %s", (version, result) => {
  expect(checkVersion(version)).toMatchObject({ subject: "version", result });
});
