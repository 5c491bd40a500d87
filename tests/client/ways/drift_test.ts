// gpuctl plan without a file: the drift that gpu-server shows.
import { describe, expect, test } from "bun:test";
import { systemClock } from "#src/base/clock.ts";
import { type DesiredDocument, NOTHING_DESIRED } from "#src/documents/models/desired.ts";
import { TwoWays } from "./two_ways.ts";

const SINCE = "2026-01-01T00:00:00.000Z";
const NOW = new Date().toISOString();
const KEPT: DesiredDocument = {
  ...NOTHING_DESIRED,
  file: "/etc/fleet.yaml",
  status: "active",
  checked_at: NOW,
  models: 2,
};
const DRIFT: DesiredDocument["drift"] = [
  { agent: "gpu-1", model: "phi4:latest", action: "pull", since: SINCE, job: "job-1", reason: null },
  { agent: "gpu-2", model: "old:1b", action: "delete", since: SINCE, job: null, reason: "It is loaded" },
];

async function plan(desired: DesiredDocument, ...more: readonly string[]) {
  await using site = await TwoWays.open(systemClock, { desired });
  for (const name of ["gpu-1", "gpu-2", "gpu-4"]) await site.agent(name);
  return await site.run("server", ["plan", ...more]);
}

describe("plan without a file", () => {
  test("shows each difference with its job or reason, and exits with 2", async () => {
    const { status, stdout, stderr } = await plan({ ...KEPT, drift: DRIFT, unknown: ["gpu-3"] });
    expect(status).toBe(2);
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(rows.map((cells) => cells.toSpliced(3, 1))).toEqual([
      ["AGENT", "DRIFT", "MODEL", "STATE"],
      ["gpu-1", "pull", "phi4:latest", "pull under way: job-1"],
      ["gpu-2", "delete", "old:1b", "It is loaded"],
    ]);
    expect(stderr).toContain("Unknown, and no difference: gpu-3");
  });

  test("exits with 0 when nothing differs, also for one box", async () => {
    const same = await plan(KEPT);
    expect([same.status, same.stdout]).toEqual([0, ""]);
    expect(same.stderr).toContain("Nothing differs from /etc/fleet.yaml, which names 2 models");
    expect((await plan({ ...KEPT, drift: DRIFT }, "--agent", "gpu-4")).status).toBe(0);
    const mistyped = await plan({ ...KEPT, drift: DRIFT }, "--agent", "gpu-5");
    expect([mistyped.status, mistyped.stderr]).toEqual([1, expect.stringContaining('Unknown agent "gpu-5"')]);
    const { status, stdout } = await plan({ ...KEPT, drift: DRIFT }, "--agent", "gpu-2", "--json");
    expect(status).toBe(2);
    expect(JSON.parse(stdout).drift).toEqual([DRIFT[1]]);
  });

  test("exits with 1 for a file with a mistake, and while none is in force", async () => {
    const problem = '/etc/fleet.yaml:4: Unknown key "purge"';
    const broken = await plan({ ...KEPT, problem });
    expect([broken.status, broken.stderr.includes(`Problem: ${problem}`)]).toEqual([1, true]);
    const waiting = await plan({ ...KEPT, status: "waiting", checked_at: null, models: 0 });
    expect(waiting.status).toBe(1);
    expect(waiting.stderr).toContain("gpu-server has not compared the fleet with /etc/fleet.yaml yet");
  });

  test("exits with 1 when the comparison is old", async () => {
    const { status, stderr } = await plan({ ...KEPT, checked_at: SINCE });
    expect([status, stderr]).toEqual([1, expect.stringContaining("gpu-server cannot read the fleet since")]);
  });

  test("needs a gpu-server with --desired", async () => {
    const off = await plan(NOTHING_DESIRED);
    expect([off.status, off.stderr]).toEqual([1, expect.stringContaining("gpu-server keeps the fleet to no file")]);
    await using site = await TwoWays.open();
    const onShare = await site.run("share", ["plan"]);
    expect(onShare.status).toBe(1);
    expect(onShare.stderr).toContain("Only gpu-server keeps a fleet to a file");
  });
});
