// A box on which the old Python service runs: taken over, and brought back.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { manualTest } from "#tests/systemd/site/agent.ts";
import { type Box, onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, install, installed } from "#tests/systemd/site/installation.ts";
import { changes, snapshot } from "#tests/systemd/site/snapshot.ts";

const UNIT_FILE = `/etc/systemd/system/${AGENT_UNIT}.service`;

/** The legacy service runs and has answered. @param share where the box has it */
async function startLegacyService(box: Box, share = "/mnt/shared"): Promise<void> {
  if (share !== "/mnt/shared")
    await box.run(
      `umount /mnt/shared; mkdir -p ${share}; sed -i 's#/mnt/shared#${share}#' /etc/fstab; systemctl daemon-reload; mount ${share}`,
    );
  await box.run(
    `mkdir /opt/gpu-command-service && sed 's#/mnt/shared#${share}#' /srv/guest/gpu_command_service.py ` +
      `>/opt/gpu-command-service/gpu_command_service.py && cp /srv/guest/${AGENT_UNIT}.service ${UNIT_FILE} && ` +
      `systemctl daemon-reload && systemctl enable --now ${AGENT_UNIT}`,
  );
  await box.until("test -e /export/gpu_status/gpu_status.json");
}

/** A list that the legacy backend asks for. @returns a script that succeeds when it is answered */
async function ask(box: Box, id: string): Promise<string> {
  await box.run(
    `echo '{"command": "list_models", "timestamp": "2025-07-15T17:00:00.123456", "command_id": "${id}"}' >/export/gpu_commands/${id}.json`,
  );
  return `grep -q '"success": *true' /export/gpu_status/${id}_response.json && grep all-minilm /export/gpu_status/${id}_response.json`;
}

/** The legacy service works as root, and its folders let nobody else in. install.sh prints the command that fixes it. */
async function letIn(box: Box): Promise<void> {
  const { status, stderr } = await install(box, "old");
  report(`not let in: exit status ${status}\n${stderr}`);
  const commands = stderr.match(/^ +sudo .*$/gm) ?? [];
  expect(commands).not.toEqual([]);
  await box.run(`set -e\n${commands.join("\n")}`);
}

async function command(box: Box): Promise<string> {
  const { MainPID } = await box.properties(AGENT_UNIT, "MainPID");
  return await box.run(`cat /proc/${MainPID}/comm`);
}

test(
  "the legacy service is taken over with the command that waits, and brought back with the one that waits then",
  onBox(async (box) => {
    await startLegacyService(box);
    expect([await command(box), await manualTest(box)]).toEqual(["python3", ["all-minilm:latest"]]);
    const before = await snapshot(box);
    await letIn(box);
    // As when it is at work just now: it runs, and has not looked yet.
    await box.run(`systemctl kill --signal=STOP ${AGENT_UNIT}`);
    const isAnswered = await ask(box, "list_models_1752597600");
    report(`taken over\n${await installed(box, "old")}`);
    await box.until(isAnswered, 60_000);
    expect(await command(box)).toBe("gpu-agent");
    await box.run("systemctl stop gpu-command-service");
    const isAnsweredThen = await ask(box, "list_models_1752597700");
    report(`brought back\n${await installed(box, "old", "--uninstall --restore --purge")}`);
    await box.until(isAnsweredThen);
    expect(await command(box)).toBe("python3");
    expect(changes(before, await snapshot(box))).toEqual([]);
    await box.reboot("orderly");
    expect([await command(box), await manualTest(box)]).toEqual(["python3", ["all-minilm:latest"]]);
  }),
  150_000,
);

test(
  "its share is taken over, wherever it is",
  onBox(async (box) => {
    await startLegacyService(box, "/mnt/CPU-GPU");
    await installed(box, "old", "--user root");
    expect(await box.run("grep ^GPU_COURIER_SHARE /etc/gpu-courier/agent.env")).toBe("GPU_COURIER_SHARE=/mnt/CPU-GPU");
    expect(JSON.parse(await box.run("gpuctl agents --json --share /mnt/CPU-GPU")).agents).toContainEqual(
      expect.objectContaining({ agent: "gpu-1", status: "online" }),
    );
  }),
  90_000,
);

test(
  "its share is found in a drop-in, and asked for when it is found nowhere",
  onBox(async (box) => {
    await startLegacyService(box, "/mnt/CPU-GPU");
    await box.run("cd /opt/gpu-command-service && sed -i 's#/mnt/CPU-GPU#/no/where#' gpu_command_service.py");
    const asked = await install(box, "old", "--user root");
    expect([asked.status, asked.stderr]).toEqual([64, expect.stringContaining("--share")]);
    const folder = `${UNIT_FILE}.d`;
    await box.run(`mkdir ${folder} && printf '[Service]\\nEnvironment=SHARED=/mnt/CPU-GPU\\n' >${folder}/share.conf`);
    expect(await installed(box, "old", "--user root --dry-run")).toContain("on /mnt/CPU-GPU (fuse)");
  }),
  90_000,
);

test(
  "when the new agent is unhealthy the legacy service runs again",
  onBox(async (box) => {
    await startLegacyService(box);
    const before = await snapshot(box);
    const { status, stdout, stderr } = await install(box, "exits", "--user root");
    report(`a broken agent: exit status ${status}\n${stdout}${stderr}`);
    expect(status).toBe(1);
    expect(changes(before, await snapshot(box))).toEqual([]);
    expect([await command(box), await manualTest(box)]).toEqual(["python3", ["all-minilm:latest"]]);
  }),
  120_000,
);

test(
  "without room to keep the legacy service's unit it stays where it is, whole",
  onBox(async (box) => {
    await startLegacyService(box);
    await box.run(`head -c 30000 /dev/zero | tr '\\0' '#' >>${UNIT_FILE} && systemctl daemon-reload`);
    const before = await snapshot(box, "/var/lib/gpu-courier");
    await box.run("mkdir /var/lib/gpu-courier && mount -t tmpfs -o mode=700,size=32k small /var/lib/gpu-courier");
    const { status, stdout, stderr } = await install(box, "old", "--user root");
    report(`no room for the old unit: exit status ${status}\n${stdout}${stderr}`);
    expect([status, stderr]).toEqual([1, expect.stringContaining("No space left")]);
    expect(changes(before, await snapshot(box, "/var/lib/gpu-courier"))).toEqual([]);
    expect([await command(box), await manualTest(box)]).toEqual(["python3", ["all-minilm:latest"]]);
  }),
  90_000,
);
