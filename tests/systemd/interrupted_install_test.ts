// install.sh on a box that has nothing of ours, interrupted at each of its steps.
import { expect, test } from "bun:test";
import { manualTest } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { installed } from "#tests/systemd/site/installation.ts";
import { changes, snapshot } from "#tests/systemd/site/snapshot.ts";

test.each([
  "verified",
  "make the system user",
  "write /usr/local/bin/gpuctl",
  "write /etc/systemd/system",
  "enable gpu-command-service",
  "make the folder /mnt/shared/gpu_status",
  "start gpu-command-service",
])(
  'Ctrl-C at "%s" leaves the box as it was',
  async (line) =>
    await onBox(async (box) => {
      const before = await snapshot(box);
      const { status, stdout } = await box.sh(`python3 /srv/guest/interrupt.py "${line}" sh /srv/old/install.sh --yes`);
      expect([status, changes(before, await snapshot(box)), stdout]).toEqual([130, [], expect.anything()]);
      expect(await box.run("ls -A /export")).toBe("");
      await installed(box, "old");
      expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    })(),
  // More than one command on a box may take, so that one that hangs is named.
  90_000,
);
