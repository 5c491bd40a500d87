// Faults on a box around the installed agent: Ollama, disk, the machine, the agent itself.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { agentState, manualTest, shortenWatchdog, slowPull, WATCHDOG_S } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, installed, settings } from "#tests/systemd/site/installation.ts";
import { timed } from "#tests/systemd/site/timed.ts";

test(
  "without Ollama the box reports that, and works once Ollama is there",
  onBox(async (box) => {
    await box.run("systemctl disable --now ollama");
    expect(await installed(box, "old")).toContain("Warning: Ollama does not answer");
    await box.reboot("orderly");
    const line = await box.until(`systemctl show --property=StatusText --value ${AGENT_UNIT} | grep "not reachable"`);
    report(`status line: ${line}`);
    expect(JSON.parse(await box.run("gpuctl agents --json")).agents).toMatchObject([
      { status: "online", reason: "ollama_down" },
    ]);
    await box.run("systemctl start ollama");
    await box.until("gpuctl list | grep all-minilm");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  120_000,
);

test(
  "an agent that is killed is started again",
  onBox(async (box) => {
    await installed(box, "old");
    await box.run(`systemctl kill --signal=KILL ${AGENT_UNIT}`);
    const { durationMs } = await timed(async () => await manualTest(box));
    report(`answered ${Math.round(durationMs)} ms after kill -9`);
    expect(await box.properties(AGENT_UNIT, "NRestarts", "ActiveState")).toEqual({
      NRestarts: "1",
      ActiveState: "active",
    });
  }),
  90_000,
);

test(
  "an agent that does nothing any more is ended by the watchdog and started again",
  onBox(async (box) => {
    await installed(box, "old");
    await shortenWatchdog(box);
    const { MainPID } = await box.properties(AGENT_UNIT, "MainPID");
    await box.run(`kill -STOP ${MainPID}`);
    const { durationMs } = await timed(
      async () => await box.until(`[ $(systemctl show --property=NRestarts --value ${AGENT_UNIT}) = 1 ]`),
    );
    report(`noticed and started again after ${(durationMs / 1000).toFixed(1)} s, WatchdogSec=${WATCHDOG_S}`);
    expect(await box.run(`journalctl --unit=${AGENT_UNIT}`)).toContain("Watchdog timeout");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  90_000,
);

test(
  "an agent that cannot work with its settings ends and is not started again and again",
  onBox(async (box) => {
    await installed(box, "old");
    await settings(box, "GPU_COURIER_NAME=Not_A_Name");
    await box.sh(`systemctl restart ${AGENT_UNIT}`);
    await box.until(`systemctl is-failed ${AGENT_UNIT}`);
    await box.run("sleep 5");
    expect(await box.properties(AGENT_UNIT, "ActiveState", "ExecMainStatus", "NRestarts")).toEqual({
      ActiveState: "failed",
      ExecMainStatus: "64",
      NRestarts: "0",
    });
    expect(await box.run(`journalctl --unit=${AGENT_UNIT} --priority=err`)).toContain("Not_A_Name");
    await settings(box, "GPU_COURIER_NAME=gpu-7");
    await box.run(`systemctl restart ${AGENT_UNIT}`);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  90_000,
);

test(
  "while the state folder's disk is full lists are answered and pulls refused, and everything works again when there is room",
  onBox(async (box) => {
    await installed(box, "old");
    await box.run(`systemctl stop ${AGENT_UNIT}`);
    await box.run("mount -t tmpfs -o size=600k,mode=750,uid=gpu-courier,gid=gpu-courier tmpfs /var/lib/gpu-agent");
    await settings(box, "GPU_COURIER_PREFLIGHT=off");
    await box.run(`systemctl start ${AGENT_UNIT}`);
    await box.sh("dd if=/dev/zero of=/var/lib/gpu-agent/filling bs=1k");
    const pull = await box.sh("gpuctl pull gemma3:270m");
    expect([pull.status, pull.stdout + pull.stderr]).toEqual([75, expect.stringContaining("disk")]);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    const line = await box.until(`systemctl show --property=StatusText --value ${AGENT_UNIT} | grep "only reading"`);
    report(`status line: ${line}`);
    await box.run("rm /var/lib/gpu-agent/filling");
    await box.until("gpuctl pull gemma3:270m", 60_000);
    expect((await box.properties(AGENT_UNIT, "NRestarts")).NRestarts).toBe("0");
  }),
  120_000,
);

test(
  "a pull goes on when the power fails under it",
  onBox(async (box) => {
    await installed(box, "old");
    const job = await slowPull(box);
    await box.reboot("power cut");
    await box.until(`gpuctl jobs --json | grep -q '"succeeded"'`, 60_000);
    expect(JSON.parse(await box.run("gpuctl jobs --json")).jobs).toMatchObject([{ id: job, state: "succeeded" }]);
    expect(await manualTest(box)).toContain("gemma3:270m");
    expect((await agentState(box))?.["status"]).toBe("running");
  }),
  120_000,
);
