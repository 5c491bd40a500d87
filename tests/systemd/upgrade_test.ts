// install.sh of another release on a box where the agent runs.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { manualTest, slowPull, versions } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, install, installed, OWN_STATE, settings } from "#tests/systemd/site/installation.ts";
import { NEW_VERSION, OLD_VERSION } from "#tests/systemd/site/scope.ts";
import { changes, snapshot } from "#tests/systemd/site/snapshot.ts";
import { timed } from "#tests/systemd/site/timed.ts";

test(
  "a pull that is under way goes on over an upgrade, settings stay, and the new version answers",
  onBox(async (box) => {
    await installed(box, "old");
    await settings(box, "# Mine.", "GPU_COURIER_LOG_LEVEL=debug");
    const job = await slowPull(box);
    const { result, durationMs } = await timed(async () => await installed(box, "new"));
    report(`an upgrade during a pull: ${(durationMs / 1000).toFixed(1)} s\n${result}`);
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

test(
  "anyone who stops the service during an upgrade has it stopped, with the new version",
  onBox(async (box) => {
    await installed(box, "old");
    // This agent never gets ready, so there is time to stop it.
    const upgrade = install(box, "silent");
    await box.until(`systemctl show --property=SubState --value ${AGENT_UNIT} | grep -x start`);
    await box.run(`systemctl stop ${AGENT_UNIT}`);
    const { status, stdout, stderr } = await upgrade;
    report(`stopped meanwhile: exit status ${status}\n${stdout}${stderr}`);
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
    report(`Ctrl-C during an upgrade: exit status ${status}\n${stdout}`);
    expect(status).toBe(130);
    expect(changes(before, await snapshot(box, OWN_STATE))).toEqual([]);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    expect(await versions(box)).toEqual([OLD_VERSION, OLD_VERSION, OLD_VERSION]);
  }),
  90_000,
);
