// gpuctl of this release through the gpu-server of an earlier one, whose documents lack the fields that came since.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HttpServer } from "#tests/process/site/site.ts";
import { expectChanges, expectLists } from "./expectations.ts";
import { Fleet, IDLE } from "./fleet.ts";
import { checkOutReleases, PRESENT } from "./release.ts";

const { first, previous, folder } = await checkOutReleases();
afterAll(() => rmSync(folder, { recursive: true }));

/** The flags with which gpuctl asks this server. */
function through(fleet: Fleet, { url, tokens }: HttpServer): readonly string[] {
  const file = join(fleet.site.dir, "token");
  writeFileSync(file, tokens.gp, { mode: 0o600 });
  return ["--server", url, "--token-file", file];
}

describe.each([
  ["the previous release", previous],
  ["the first release", first],
] as const)("gpuctl through gpu-server of %s", (_, programs) => {
  const fleet = new Fleet();
  let server: readonly string[] = [];
  beforeAll(async () => {
    await fleet.start(PRESENT, ["--label", "site=berlin"]);
    server = through(fleet, await fleet.site.server([], programs.server));
  });
  afterAll(async () => await fleet.close());

  const run = async (...args: readonly string[]) => await fleet.gpuctlAt(server, PRESENT, ...args);

  test("shows the whole fleet", async () => await expectLists(fleet, PRESENT, server));
  test("changes it", async () => await expectChanges(fleet, PRESENT, server));

  test("shows one job, and cancels it", async () => {
    const job = fleet.jobs.find(({ state, model }) => state === "queued" && model === "next:latest");
    const id = job?.id ?? "";
    expect(await run("jobs", id)).toMatchObject({ status: 0, stdout: expect.stringContaining(id), stderr: "" });
    expect(await run("cancel", id)).toMatchObject({ status: 0, stderr: "" });
  });

  test("names what that server is too old for", async () => {
    const { status, stderr } = await run("ping", "--agent", IDLE);
    expect([status, stderr]).toEqual([69, expect.stringContaining("is older than this gpuctl")]);
  });
});
