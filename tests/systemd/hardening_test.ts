// The unit's hardening: how good systemd thinks it is, and that the agent does all its work under it.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { agentState, manualTest } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, installed, settings } from "#tests/systemd/site/installation.ts";

/** Of 10; less is better. */
const MAX_EXPOSURE = 2.0;

test(
  "systemd's own score of both units is 2.0 or better",
  onBox(async (box) => {
    await installed(box, "old");
    await installed(box, "old", "--role server");
    for (const unit of [AGENT_UNIT, "gpu-courier-server"]) {
      const analysis = await box.run(`systemd-analyze security --no-pager ${unit}`);
      const exposure = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(analysis)?.[1]);
      report(`systemd-analyze security ${unit}: ${exposure}`);
      expect(exposure).toBeLessThanOrEqual(MAX_EXPOSURE);
    }
  }),
  90_000,
);

test(
  "under the unit the agent lists, pulls, deletes, examines itself and sees the GPUs, and opens no other device",
  onBox(async (box) => {
    // All nodes are there for everybody, so that the unit alone keeps one closed. 195 is NVIDIA's number.
    await box.run(
      "mknod /dev/nvidia0 c 195 0 && chmod 666 /dev/nvidia0 /dev/fuse && cp /srv/guest/nvidia-smi /usr/bin",
    );
    await installed(box, "old");
    await settings(box, "GPU_COURIER_PREFLIGHT=off");
    await box.run(`systemctl restart ${AGENT_UNIT}`);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    await box.run("gpuctl pull gemma3:270m");
    expect(await box.run("gpuctl list")).toContain("gemma3:270m");
    await box.run("gpuctl rm gemma3:270m");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    expect((await agentState(box))?.["gpus"]).toMatchObject([{ index: 0, uuid: "GPU-1f2e", name: "NVIDIA H200" }]);
    const doctor = await box.sh("gpuctl doctor");
    report(`gpuctl doctor, exit status ${doctor.status}\n${doctor.stdout.replaceAll(/^(?=.)/gm, "    ")}`);
    expect(doctor.status).toBe(0);
    // As the agent's own user, with its settings and its state folder.
    const own = await box.sh(
      `systemd-run --quiet --wait --pipe --uid=gpu-courier --property=EnvironmentFile=/etc/gpu-courier/agent.env ` +
        `/usr/local/bin/gpu-agent doctor --state-dir /var/lib/gpu-agent`,
    );
    report(`gpu-agent doctor, exit status ${own.status}\n${own.stdout.replaceAll(/^(?=.)/gm, "    ")}${own.stderr}`);
    expect(own.status).toBe(0);
  }),
  90_000,
);
