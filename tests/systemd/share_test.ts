// install.sh and what the share is made of: groups, links, who may do what there.
import { expect, test } from "bun:test";
import { tell } from "../nfs/guest/figures.ts";
import { agentState, manualTest } from "./agent.ts";
import { onBox } from "./box.ts";
import { AGENT_UNIT, installed } from "./installation.ts";
import { NEW_VERSION } from "./scope.ts";

test(
  "--purge removes nothing where a link on the share leads",
  onBox(async (box) => {
    await installed(box, "old");
    await box.run(`systemctl stop ${AGENT_UNIT}; mkdir -p /home/gpu-1/precious /home/.tmp`);
    await box.run("mv /export/gpu_commands /export/was && ln -s /home /export/gpu_commands");
    tell(await installed(box, "old", "--uninstall --purge"));
    expect(await box.run("find /home -mindepth 1 | sort")).toBe("/home/.tmp\n/home/gpu-1\n/home/gpu-1/precious");
  }),
  60_000,
);

test(
  "the group that a drop-in gives the service counts for install.sh, too",
  onBox(async (box) => {
    await box.run("useradd --system serves && groupadd --gid 4242 gpu");
    await installed(box, "old", "--user serves");
    await box.run(`systemctl stop ${AGENT_UNIT}`);
    await box.run("chgrp -R gpu /export && find /export -type d -exec chmod 2770 {} +");
    const folder = `/etc/systemd/system/${AGENT_UNIT}.service.d`;
    await box.run(`mkdir ${folder} && printf '[Service]\\nGroup=gpu\\n' >${folder}/group.conf`);
    await box.run(`systemctl daemon-reload && systemctl start ${AGENT_UNIT}`);
    tell(`as gpu\n${await installed(box, "new")}`);
    expect((await agentState(box))?.["agent_version"]).toBe(NEW_VERSION);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  60_000,
);
