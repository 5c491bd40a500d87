// install.sh that cannot go on: interrupted at each of its steps; and where undoing is not easy either, as without room on a disk or after
// a kill at the worst moment.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { manualTest, versions } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { install, installed, OWN_STATE, settings } from "#tests/systemd/site/installation.ts";
import { NEW_VERSION, OLD_VERSION } from "#tests/systemd/site/scope.ts";
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

test.each([
  // Less than the copy of a program.
  ["/var/lib/gpu-courier", 60, "Cannot keep a copy of /usr/local/bin/gpu-agent"],
  // Room for the files that are there, but not for another program.
  ["/usr/local/bin", 300, "Cannot replace /usr/local/bin/gpu-agent"],
])(
  "an upgrade for which %s has no room leaves the old version as it is",
  async (folder, size, problem) =>
    await onBox(async (box) => {
      await installed(box, "old");
      await box.run(
        `cp -a ${folder} /tmp/had && mount -t tmpfs -o mode=755,size=${size}m small ${folder} && cp -a /tmp/had/. ${folder} && rm -r /tmp/had`,
      );
      const before = await snapshot(box, OWN_STATE);
      const { status, stdout, stderr } = await box.sh("timeout -k 1 30 sh /srv/new/install.sh --yes");
      report(`no room in ${folder}: exit status ${status}\n${stdout}${stderr.slice(0, 1000)}`);
      expect([status, stderr]).toEqual([1, expect.stringContaining(problem)]);
      expect(stderr).toContain("All changes were undone.");
      expect(changes(before, await snapshot(box, OWN_STATE))).toEqual([]);
      expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    })(),
  90_000,
);

/** An rm that is killed, with who called it, when of what it should remove only the copies are gone. */
const KILLED_RM = `#!/bin/sh
if [ "$*" = "-rf /var/lib/gpu-courier/agent/undo" ] && [ -e "$2/2" ]; then
  /bin/rm "$2"/[0-9]*
  kill -9 $PPID
  exit
fi
exec /bin/rm "$@"
`;

test(
  "an upgrade that is killed when it is done stays done",
  onBox(async (box) => {
    await installed(box, "old");
    await box.run(`cat >/usr/local/sbin/rm <<'END'\n${KILLED_RM}END\nchmod +x /usr/local/sbin/rm`);
    expect((await install(box, "new")).status).not.toBe(0);
    await box.run("/bin/rm /usr/local/sbin/rm");
    expect(await versions(box)).toEqual([NEW_VERSION, NEW_VERSION, NEW_VERSION]);
    const printed = await installed(box, "new");
    report(`after the kill\n${printed}`);
    expect(printed).not.toContain("undoing");
    expect(printed).toContain("Nothing new");
  }),
  90_000,
);

test(
  "an upgrade that finds settings with which no version starts says that nothing runs now",
  onBox(async (box) => {
    await installed(box, "old");
    await settings(box, "GPU_COURIER_LOG_LEVEL=bogus");
    const { status, stderr } = await install(box, "new");
    report(`neither version starts: exit status ${status}\n${stderr}`);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/Undoing the changes[^]*gpu-command-service\.service does not start: journalctl/),
    ]);
    expect(stderr).not.toContain("All changes were undone");
    expect(await box.run("gpu-agent --version")).toBe(OLD_VERSION);
  }),
  90_000,
);
