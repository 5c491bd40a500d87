// install.sh of another release on a box where the agent runs: it goes up when all is well, and back by itself when not.
import { expect, test } from "bun:test";
import { type Box, onBox } from "./box.ts";
import {
  AGENT_UNIT,
  agentState,
  changes,
  install,
  installed,
  manualTest,
  type Release,
  settings,
  slowPull,
  snapshot,
  tell,
  timed,
} from "./installation.ts";
import { NEW_VERSION, OLD_VERSION } from "./scope.ts";

/** What the agent itself writes while it runs. */
const OWN_STATE = "/var/lib/gpu-agent";
/** Of a new agent that is not well, with the rollback. */
const ROLLBACK_MS = 90_000;

/** What runs, by its own word and by what gpuctl says beside it. */
async function versions(box: Box): Promise<readonly unknown[]> {
  const state = await agentState(box);
  return [state?.["agent_version"], await box.run("gpuctl --version"), await box.run("gpu-agent --version")];
}

test(
  "a pull that is under way goes on over an upgrade, settings stay, and the new version answers",
  onBox(async (box) => {
    await installed(box, "old");
    await settings(box, "# Mine.", "GPU_COURIER_LOG_LEVEL=debug");
    const job = await slowPull(box);
    const { result, durationMs } = await timed(async () => await installed(box, "new"));
    tell(`an upgrade during a pull: ${(durationMs / 1000).toFixed(1)} s\n${result}`);
    expect(await versions(box)).toEqual([NEW_VERSION, NEW_VERSION, NEW_VERSION]);
    expect(JSON.parse(await box.run("gpuctl jobs --json")).jobs).toMatchObject([{ id: job, state: "running" }]);
    expect(await box.run("tail -n 3 /etc/gpu-courier/agent.env")).toContain("# Mine.\nGPU_COURIER_LOG_LEVEL=debug");
    await box.until(`gpuctl jobs --json | grep -q '"succeeded"'`, 60_000);
    expect(JSON.parse(await box.run("gpuctl jobs --json")).jobs).toMatchObject([{ id: job, state: "succeeded" }]);
    expect(await manualTest(box)).toContain("gemma3:270m");
    expect((await box.properties(AGENT_UNIT, "NRestarts")).NRestarts).toBe("0");
    expect(await installed(box, "new")).toContain("Nothing new");
  }),
  120_000,
);

const broken: readonly [string, Release][] = [
  ["ends at once", "exits"],
  ["never gets ready", "silent"],
  ["is another version than it says", "liar"],
];
test.each(broken)(
  "a new agent that %s is taken back by itself",
  async (_, release) =>
    await onBox(async (box) => {
      await installed(box, "old");
      const before = await snapshot(box, OWN_STATE);
      const { result, durationMs } = await timed(async () => await install(box, release));
      tell(`taken back after ${(durationMs / 1000).toFixed(1)} s\n${result.stdout}${result.stderr}`);
      expect(result.status).toBe(1);
      expect(result.stderr).toContain("is not well");
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

test(
  "whoever stops the service during an upgrade has it stopped, with the new version",
  onBox(async (box) => {
    await installed(box, "old");
    // This one does not get ready by itself, so that there is time.
    const upgrade = install(box, "silent");
    await box.until(`systemctl show --property=SubState --value ${AGENT_UNIT} | grep -x start`);
    await box.run(`systemctl stop ${AGENT_UNIT}`);
    const { status, stdout, stderr } = await upgrade;
    tell(`stopped meanwhile: exit status ${status}\n${stdout}${stderr}`);
    expect([status, stdout]).toEqual([0, expect.stringContaining("was stopped")]);
    expect(await box.run("gpu-agent --version")).toBe(NEW_VERSION);
    expect((await box.properties(AGENT_UNIT, "ActiveState")).ActiveState).toBe("inactive");
  }),
  90_000,
);

test(
  "Ctrl-C during an upgrade leaves the old version running",
  onBox(async (box) => {
    await installed(box, "old");
    const before = await snapshot(box, OWN_STATE);
    const { status, stdout } = await box.sh(
      "python3 /srv/guest/interrupt.py 'replace /usr/local/bin/gpuctl' sh /srv/new/install.sh --yes",
    );
    tell(`Ctrl-C during an upgrade: exit status ${status}\n${stdout}`);
    expect(status).toBe(130);
    expect(changes(before, await snapshot(box, OWN_STATE))).toEqual([]);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    expect(await versions(box)).toEqual([OLD_VERSION, OLD_VERSION, OLD_VERSION]);
  }),
  60_000,
);
