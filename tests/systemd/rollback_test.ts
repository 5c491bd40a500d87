// install.sh of a release whose agent is unhealthy: the machine rolls back by itself.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { manualTest, versions } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { install, installed, OWN_STATE, type Release } from "#tests/systemd/site/installation.ts";
import { NEW_VERSION, OLD_VERSION } from "#tests/systemd/site/scope.ts";
import { changes, snapshot } from "#tests/systemd/site/snapshot.ts";
import { timed } from "#tests/systemd/site/timed.ts";

/** With the wait for the new agent. */
const ROLLBACK_MS = 90_000;

const broken: readonly [string, Release][] = [
  ["ends at once", "exits"],
  ["never gets ready", "silent"],
  ["is another version than it says", "liar"],
];
test.each(broken)(
  "a new agent that %s is rolled back automatically",
  async (_, release) =>
    await onBox(async (box) => {
      await installed(box, "old");
      const before = await snapshot(box, OWN_STATE);
      const { result, durationMs } = await timed(async () => await install(box, release));
      report(`rolled back after ${(durationMs / 1000).toFixed(1)} s\n${result.stdout}${result.stderr}`);
      expect(result.status).toBe(1);
      expect(result.stderr).toContain("is unhealthy");
      expect(durationMs).toBeLessThan(ROLLBACK_MS);
      expect(changes(before, await snapshot(box, OWN_STATE))).toEqual([]);
      expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
      expect(await versions(box)).toEqual([OLD_VERSION, OLD_VERSION, OLD_VERSION]);
      await box.run("gpuctl ping");
      // And then a good one goes through.
      await installed(box, "new");
      expect(await versions(box)).toEqual([NEW_VERSION, NEW_VERSION, NEW_VERSION]);
    })(),
  180_000,
);
