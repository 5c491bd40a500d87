// gpuctl forget prints and does the same over the share and through gpu-server.
import { expect, test } from "bun:test";
import { OffsetClock } from "#tests/support/clocks/offset_clock.ts";
import { testKey } from "#tests/trust/test_key.ts";
import { masked, TwoWays, WAYS } from "./two_ways.ts";

/** gpu-1 is there; gpu-9 and gpu-10, which signs, stopped an hour ago. */
async function open(): Promise<TwoWays> {
  const clock = new OffsetClock(-3_600_000);
  const site = await TwoWays.open(clock);
  for (const agent of [await site.agent("gpu-9"), await site.agent("gpu-10", { key: testKey(1) })])
    await site.publish(agent, { status: "stopped" });
  clock.offsetMs = 0;
  await site.agent("gpu-1");
  return site;
}

test.each([
  ["one that is gone", 0, ["gpu-9"]],
  ["a range, of which one signed", 0, ["gpu-[9-10]"]],
  ["a pattern that one of those fits that are there", 1, ["gpu-1*", "gpu-9"]],
  ["one that is there", 73, ["gpu-1"]],
  ["an unknown one", 66, ["gpu-2"]],
  ["a dry run", 0, ["gpu-*", "--dry-run"]],
])("forget of %s", async (_, status, argv) => {
  for (const format of [[], ["--json"]]) {
    const runs = [];
    for (const way of WAYS) {
      await using site = await open();
      const ran = masked(await site.run(way, ["forget", ...argv, ...format]));
      const left = JSON.parse((await site.run(way, ["agents", "--json"])).stdout);
      runs.push({ ...ran, left: left.agents.map(({ agent }: { agent: string }) => agent) });
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]?.status).toBe(status);
  }
});
