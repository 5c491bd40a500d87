// Which commands run at the same time.
import { describe, expect, test } from "bun:test";
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

describe("a slow command for a model", () => {
  /** Runs a command for `m` until its end is called. */
  function commands(clock: ManualClock) {
    const lanes = new Lanes(clock);
    const begun: string[] = [];
    const run = (name: string): (() => void) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const slow = name.startsWith("load") ? ["m"] : [];
      const work = async (): Promise<void> => {
        begun.push(name);
        await promise;
      };
      void lanes.inTurn(["M", name], work, slow);
      return resolve;
    };
    return { begun, run };
  }

  test("waits for the earlier ones, and holds up the later ones for 5 s of its run", async () => {
    const clock = new ManualClock(0);
    const { begun, run } = commands(clock);
    const endDelete = run("delete");
    run("load");
    run("copy");
    await clock.advance(60_000);
    expect(begun).toEqual(["delete"]);
    endDelete();
    await settle();
    expect(begun).toEqual(["delete", "load"]);
    await clock.advance(4_900);
    expect(begun).toEqual(["delete", "load"]);
    await clock.advance(200);
    expect(begun).toEqual(["delete", "load", "copy"]);
  });

  test("holds up the later ones no longer than it runs", async () => {
    const clock = new ManualClock(0);
    const { begun, run } = commands(clock);
    const end = run("load");
    run("unload");
    await settle();
    end();
    await settle();
    expect(begun).toEqual(["load", "unload"]);
  });

  test("does not wait for others like it, and all of them hold up a later one", async () => {
    const clock = new ManualClock(0);
    const { begun, run } = commands(clock);
    const loads = ["load 1", "load 2", "load 3"];
    for (const load of loads) {
      run(load);
      await clock.advance(1_000);
    }
    expect(begun).toEqual(loads);
    run("unload");
    // Until the last of them has run for 5 s.
    await clock.advance(3_900);
    expect(begun).toEqual(loads);
    await clock.advance(200);
    expect(begun).toEqual([...loads, "unload"]);
  });

  test("that fails ends its turn", async () => {
    const lanes = new Lanes(new ManualClock(0));
    const failed = lanes.inTurn(["m"], async () => await Promise.reject(new Error("as a test wants it")), ["m"]);
    const after = lanes.inTurn(["m"], async () => await Promise.resolve("done"));
    expect(await failed.catch(String)).toContain("as a test wants it");
    expect(await after).toBe("done");
  });
});
