// install.sh and what the share is made of: groups, links, who may do what there.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { agentState, manualTest } from "#tests/systemd/site/agent.ts";
import { onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, install, installed, OWN_STATE } from "#tests/systemd/site/installation.ts";
import { NEW_VERSION } from "#tests/systemd/site/scope.ts";
import { changes, snapshot } from "#tests/systemd/site/snapshot.ts";

test(
  "--purge removes nothing where a link on the share leads",
  onBox(async (box) => {
    await installed(box, "old");
    await box.run(`systemctl stop ${AGENT_UNIT}; mkdir -p /opt/gpu-1/precious /opt/.tmp`);
    await box.run("mv /export/gpu_commands /export/was && ln -s /opt /export/gpu_commands");
    report(await installed(box, "old", "--uninstall --purge"));
    expect(await box.run("find /opt -mindepth 1 | sort")).toBe("/opt/.tmp\n/opt/gpu-1\n/opt/gpu-1/precious");
  }),
  90_000,
);

test(
  "a share of a system group is refused with the command that gives it one of its own",
  onBox(async (box) => {
    await box.run("mkdir /export/gpu_commands /export/gpu_status && chgrp -R disk /export && chmod -R 2770 /export");
    const before = await snapshot(box);
    const { status, stderr } = await install(box, "old");
    report(`a share of the group disk: exit status ${status}\n${stderr}`);
    expect([status, changes(before, await snapshot(box))]).toEqual([69, []]);
    for (const command of stderr.match(/^ +sudo .*$/gm) ?? []) await box.run(command);
    await installed(box, "old");
    expect(await box.run("id -nG gpu-courier")).not.toContain("disk");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  90_000,
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
    report(`as gpu\n${await installed(box, "new")}`);
    expect((await agentState(box))?.["agent_version"]).toBe(NEW_VERSION);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  90_000,
);

/** Root as a file server has it that takes him for nobody: he may look only where everybody may. */
const SQUASHED = "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search";

test(
  "root need not be let into the share",
  onBox(async (box) => {
    await box.run("umount /mnt/shared && bindfs -o allow_other,default_permissions /export /mnt/shared");
    await box.run(
      "groupadd --gid 4242 gpu && useradd --gid gpu owner && chown owner:gpu /export && chmod 2770 /export",
    );
    const before = await box.run("ls -lA /export");
    const broken = await box.sh(`${SQUASHED} sh /srv/exits/install.sh --yes`);
    report(`root is nobody, and the agent broken: exit status ${broken.status}\n${broken.stdout}${broken.stderr}`);
    expect([broken.status, await box.run("ls -lA /export")]).toEqual([1, before]);
    report(`root is nobody\n${await box.run(`${SQUASHED} sh /srv/old/install.sh --yes`)}`);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    expect(await box.run(`${SQUASHED} sh /srv/old/install.sh --yes`)).toContain("Nothing new");
    // On a real box root can always read the local files, unlike here.
    await box.run(`systemctl stop ${AGENT_UNIT} && chmod -R a+rX ${OWN_STATE}`);
    await box.run(`${SQUASHED} sh /srv/old/install.sh --yes --uninstall --purge`);
    expect(await box.run("find /export -name 'gpu-1*' -o -name .tmp")).toBe("");
    // Other users than root get a message about that instead of a wrong result.
    const other = await box.sh("setpriv --reuid=nobody --clear-groups sh /srv/old/install.sh --dry-run");
    expect([other.status, other.stderr]).toEqual([69, expect.stringContaining("nobody cannot list /mnt/shared")]);
  }),
  90_000,
);

test(
  "root without the capabilities that the unit takes from it is let in where others are, and is warned before",
  onBox(async (box) => {
    await box.run("useradd --system owner && mkdir /export/gpu_commands /export/gpu_status");
    await box.run("chown owner:owner /export/gpu_* && chmod 2775 /export/gpu_*");
    const { status, stderr } = await install(box, "old", "--user root");
    expect([status, stderr]).toEqual([69, expect.stringContaining("root cannot write to /mnt/shared/gpu_commands")]);
    await box.run("chown root /mnt/shared/gpu_*");
    await installed(box, "old", "--user root");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  90_000,
);
