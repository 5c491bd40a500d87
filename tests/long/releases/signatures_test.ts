// Machines of different releases on one share where commands must be signed, which earlier releases cannot do.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { publicLine } from "#src/trust/keys.ts";
import { testKey } from "#tests/trust/test_key.ts";
import { expectChanges, expectLists, expectRoutes } from "./expectations.ts";
import { Fleet, IDLE } from "./fleet.ts";
import { checkOutReleases, PRESENT, type Programs } from "./release.ts";

const { first, previous, folder } = await checkOutReleases();
const before = process.env["XDG_CONFIG_HOME"];
/** Only this release knows the key in it. */
process.env["XDG_CONFIG_HOME"] = join(folder, "config");
afterAll(() => {
  rmSync(folder, { recursive: true });
  if (before === undefined) delete process.env["XDG_CONFIG_HOME"];
  else process.env["XDG_CONFIG_HOME"] = before;
});

const EARLIER = [
  ["the previous release", previous],
  ["the first release", first],
] as const;

/** Writes a file that trusts the key of gpuctl here, and the key that signs what fills the fleet. */
async function trustedKeys(fleet: Fleet): Promise<string> {
  const path = join(folder, "trusted_keys");
  const { stdout } = await fleet.site.run(PRESENT.gpuctl, ["key"]);
  writeFileSync(path, `${stdout}${publicLine(testKey(), "filler")}\n`);
  return path;
}

/** Neither its gpuctl nor its gpu-server changes anything, and both name the reason. */
async function expectRefusals(fleet: Fleet, programs: Programs): Promise<void> {
  const models = fleet.models;
  for (const command of ["pull tiny", "rm phi4", "cp phi4 copied", "stop phi4"]) {
    const { status, stderr } = await fleet.gpuctl(programs, ...command.split(" "), "--agent", IDLE);
    expect([command, status, stderr]).toEqual([command, 77, expect.stringContaining("signed")]);
  }
  const server = await fleet.site.server([], programs.server);
  const refused = await server.call("DELETE", `/v1/agents/${IDLE}/models/phi4`);
  await server.process.stop();
  expect([refused.status, JSON.stringify(refused.answer)]).toEqual([403, expect.stringContaining("forbidden")]);
  expect(fleet.models).toEqual(models);
}

describe("agents of this release that require signatures", () => {
  const fleet = new Fleet(testKey());
  beforeAll(async () => await fleet.start(PRESENT, ["--trusted-keys", await trustedKeys(fleet)]));
  afterAll(async () => await fleet.close());

  test.each(EARLIER)("are all shown by gpuctl of %s", async (_, programs) => await expectLists(fleet, programs));
  test.each(EARLIER)("are all shown by gpu-server of %s", async (_, programs) => await expectRoutes(fleet, programs));
  test.each(EARLIER)("refuse what programs of %s change", async (_, programs) => await expectRefusals(fleet, programs));
  test("obey this gpuctl, which signs", async () => await expectChanges(fleet, PRESENT));
});

describe.each(EARLIER)("agents of %s", (_, programs) => {
  const fleet = new Fleet();
  beforeAll(async () => await fleet.start(programs));
  afterAll(async () => await fleet.close());

  test("obey this gpuctl, which signs", async () => {
    await expectLists(fleet, PRESENT);
    await expectChanges(fleet, PRESENT);
  });
});
