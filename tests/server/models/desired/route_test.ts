// GET /v1/desired: what everybody sees, and what a token for some agents does.
import { expect, test } from "bun:test";
import { type DesiredDocument, NOTHING_DESIRED } from "#src/documents/models/desired.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const DRIFT = {
  model: "phi4:latest",
  action: "pull",
  since: "2026-01-01T00:00:00.000Z",
  job: null,
  reason: null,
} as const;
const DESIRED: DesiredDocument = {
  file: "/etc/fleet.yaml",
  status: "active",
  checked_at: "2026-01-01T00:00:00.000Z",
  problem: '/etc/fleet.yaml:3: "GPU 2" names no boxes',
  models: 2,
  drift: [
    { agent: "gpu-1", ...DRIFT },
    { agent: "gpu-2", ...DRIFT },
  ],
  unknown: ["gpu-3", "gpu-4"],
};

test("GET /v1/desired is off without --desired", async () => {
  await using server = await openServer();
  const { status, body } = await server.call("GET", "/v1/desired", { token: server.viewer });
  expect([status, body]).toEqual([200, NOTHING_DESIRED]);
});

test("GET /v1/desired shows everything to a token without limits", async () => {
  await using server = await openServer({ desired: DESIRED });
  const { status, body } = await server.call("GET", "/v1/desired", { token: server.viewer });
  expect([status, body]).toEqual([200, DESIRED]);
});

test("GET /v1/desired shows a token for some agents only these, and no text of the file", async () => {
  await using server = await openServer({ desired: DESIRED });
  const limits = { expiresAtMs: null, agents: ["gpu-1", "gpu-3"], verbs: null };
  const { body } = await server.call("GET", "/v1/desired", { token: server.tokens.add("some", "viewer", limits) });
  expect(body.drift.map(({ agent }: { agent: string }) => agent)).toEqual(["gpu-1"]);
  expect(body.unknown).toEqual(["gpu-3"]);
  expect([body.file, body.models]).toEqual([null, 0]);
  expect(JSON.stringify(body)).not.toMatch(/fleet\.yaml|GPU 2|gpu-2|gpu-4/);
  expect(body.problem).not.toBeNull();
});
