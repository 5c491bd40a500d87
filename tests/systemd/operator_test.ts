// install.sh on a box where the operator changed things, or has both roles: what is his stays his, and all goes away at the end.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { manualTest } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, installed, OWN_STATE } from "#tests/systemd/site/installation.ts";
import { changes, snapshot } from "#tests/systemd/site/snapshot.ts";

const SETTINGS = "/etc/gpu-courier/agent.env";

test(
  "settings stay as closed and as spelled as they are",
  onBox(async (box) => {
    await installed(box, "old");
    await box.run(`chmod 600 ${SETTINGS}; sed -i 's/^GPU_COURIER_SHARE=/ GPU_COURIER_SHARE = /; s/$/\\r/' ${SETTINGS}`);
    await box.run(`printf "export HTTPS_PROXY=x\\nGPU_COURIER_PROTECT='a, b'" >>${SETTINGS}`);
    const before = await snapshot(box, OWN_STATE);
    expect(await installed(box, "old")).toContain("Nothing new");
    expect(changes(before, await snapshot(box, OWN_STATE))).toEqual([]);
    // Of a release that knows a setting more.
    await box.run(`sed -i '/GPU_COURIER_LOG_FORMAT/d' ${SETTINGS}`);
    expect(await installed(box, "old")).toContain(`replace ${SETTINGS}`);
    expect(await box.run(`stat -c %a ${SETTINGS}; grep -c '^ GPU_COURIER_SHARE = /mnt/shared' ${SETTINGS}`)).toBe(
      "600\n1",
    );
    expect(await box.run(`tail -n 1 ${SETTINGS}; grep '^GPU' ${SETTINGS}`)).toBe(
      "#GPU_COURIER_LOG_FORMAT=text\nGPU_COURIER_PROTECT='a, b'",
    );
  }),
  90_000,
);

test(
  "a unit that was edited to start the program with flags still shows where it is installed",
  onBox(async (box) => {
    const before = await snapshot(box);
    await installed(box, "old", "--prefix /opt/x");
    await box.run(`sed -i 's/^ExecStart=.*/& --log-level debug/' /etc/systemd/system/${AGENT_UNIT}.service`);
    const printed = await installed(box, "new");
    report(`an edited unit\n${printed}`);
    expect([printed, await box.run("ls /usr/local/bin")]).toEqual([expect.stringContaining("had been edited"), ""]);
    await installed(box, "new", "--uninstall --purge");
    expect(changes(before, await snapshot(box))).toEqual([]);
  }),
  90_000,
);

test.each([
  ["agent", "server"],
  ["server", "agent"],
])(
  "of both roles in one prefix nothing stays when first the %s goes, then the %s",
  async (first, last) =>
    await onBox(async (box) => {
      const before = await snapshot(box);
      for (const role of ["agent", "server"]) await installed(box, "old", `--role ${role} --prefix /opt/x`);
      await installed(box, "old", `--role ${first} --uninstall --purge`);
      expect(await box.run("ls /mnt/shared")).toBe("gpu_commands\ngpu_status");
      await installed(box, "old", `--role ${last} --uninstall --purge`);
      expect(changes(before, await snapshot(box))).toEqual([]);
      expect(await box.run("ls -A /export")).toBe("");
    })(),
  90_000,
);

test(
  "a run for the agent that was killed is undone by one for the server",
  onBox(async (box) => {
    await box.run("printf '#!/bin/sh\\nkill -9 $PPID\\n' >/usr/local/sbin/install && chmod +x /usr/local/sbin/install");
    await box.sh("sh /srv/old/install.sh --yes");
    await box.run("rm /usr/local/sbin/install && id gpu-courier");
    expect(await installed(box, "old", "--role server")).toContain("An earlier run was interrupted");
    await installed(box, "old");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    expect(await box.run("systemctl is-active gpu-courier-server")).toBe("active");
  }),
  90_000,
);

test(
  "systemd is reloaded once a run: it needs a minute and a half for it while the share hangs",
  onBox(async (box) => {
    const reloads = async (): Promise<number> =>
      Number(await box.run("journalctl --sync; journalctl _PID=1 | grep -c 'Reloading[.]' || true"));
    const before = await reloads();
    await installed(box, "old");
    const between = await reloads();
    await installed(box, "old", "--uninstall");
    expect([between - before, (await reloads()) - between]).toEqual([1, 1]);
  }),
  90_000,
);

test(
  "what a run with --no-start changed in the unit is taken up by the next one without",
  onBox(async (box) => {
    await box.run("useradd --system serves && useradd --system --gid serves other");
    await installed(box, "old", "--user serves");
    const runsAs = async (): Promise<string> =>
      await box.run(`ps -o user= -p $(systemctl show --property=MainPID --value ${AGENT_UNIT})`);
    await box.run("sleep 1.1");
    expect(await installed(box, "old", "--no-start --user other")).toContain("still runs the previous version");
    expect(await runsAs()).toBe("serves");
    expect(await installed(box, "old")).toContain(`restart ${AGENT_UNIT}`);
    expect(await runsAs()).toBe("other");
    expect(await installed(box, "old")).toContain("Nothing new");
  }),
  90_000,
);
