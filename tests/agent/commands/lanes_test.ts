// Which commands run at the same time.
import { expect, test } from "bun:test";
import { Lanes } from "#src/agent/commands/lanes.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";

test("inTurn() runs the commands for one model in order, in any spelling, and goes on after a failure", async () => {
  const lanes = new Lanes(new ManualClock(0));
  const ends = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const begun: string[] = [];
  const run = async (model: string): Promise<void> => {
    await lanes.inTurn([model], async () => {
      await lanes.changing(async () => await ends[begun.push(model) - 1]?.promise);
    });
  };
  const first = run("phi4:latest");
  const others = [run("PHI4:latest"), run("gemma:latest")];
  await settle();
  expect(begun).toEqual(["phi4:latest", "gemma:latest"]);
  ends[0]?.reject(new Error("as a test wants it"));
  expect(await first.catch(String)).toContain("as a test wants it");
  await settle();
  expect(begun).toEqual(["phi4:latest", "gemma:latest", "PHI4:latest"]);
  ends[1]?.resolve();
  await Promise.all(others);
});
