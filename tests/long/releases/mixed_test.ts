// Machines of different releases on one share: earlier readers over this release's agents, and the other way round.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { JobState } from "#src/protocol.ts";
import { expectChanges, expectLists, expectRoutes } from "./expectations.ts";
import { Fleet } from "./fleet.ts";
import { checkOutReleases, PRESENT } from "./release.ts";

const { first, previous, folder } = await checkOutReleases();
afterAll(() => rmSync(folder, { recursive: true }));

const EARLIER = [
  ["the previous release", previous],
  ["the first release", first],
] as const;

const JOB_STATES: readonly JobState[] = ["cancelled", "failed", "queued", "running", "succeeded"];

describe("agents of this release", () => {
  const fleet = new Fleet();
  beforeAll(async () => await fleet.start(PRESENT, ["--label", "site=berlin", "--protect", "kept"]));
  afterAll(async () => await fleet.close());

  test("publish jobs in every state that lasts, and fields that earlier releases do not know", () => {
    expect(new Set(fleet.jobs.map(({ state }) => state))).toEqual(new Set(JOB_STATES));
    const [state] = fleet.states;
    expect([state?.labels, state?.memory, state?.disk, state?.models?.at(0)?.details]).not.toContain(undefined);
    expect(fleet.jobs.map(({ requested_by }) => requested_by)).toContain("tester");
  });

  test.each(EARLIER)("are all shown by gpuctl of %s", async (_, programs) => await expectLists(fleet, programs));
  test.each(EARLIER)("obey gpuctl of %s", async (_, programs) => await expectChanges(fleet, programs));
  test.each(EARLIER)("are all shown by gpu-server of %s", async (_, programs) => await expectRoutes(fleet, programs));
});

describe.each(EARLIER)("agents of %s", (_, programs) => {
  const fleet = new Fleet();
  beforeAll(async () => await fleet.start(programs, ["--protect", "kept"]));
  afterAll(async () => await fleet.close());

  test("are all shown by this gpuctl, and obey it", async () => {
    await expectLists(fleet, PRESENT);
    await expectChanges(fleet, PRESENT);
  });
  test("are all shown by this gpu-server", async () => await expectRoutes(fleet, PRESENT));
});
