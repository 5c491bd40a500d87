// The unit's hardening: how good systemd thinks it is, and that the agent does all its work under it, and may prune where that is allowed.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { agentState, manualTest } from "#tests/systemd/site/agent.ts";
import { type Box, onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, install, installed, settings } from "#tests/systemd/site/installation.ts";

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

const MODELS = "/usr/share/ollama/.ollama/models";
const ORPHAN = `${MODELS}/blobs/sha256-${"a".repeat(64)}`;

/** Ollama as its installer sets it up: a user of its own, whose home is closed to others, as on Ubuntu. */
async function ollamaOfItsOwn(box: Box): Promise<void> {
  await box.run("useradd -r -s /bin/false -U -m -d /usr/share/ollama ollama && chmod 750 /usr/share/ollama");
  await box.run(
    "mkdir -p /etc/systemd/system/ollama.service.d && printf '[Service]\\nUser=ollama\\nExecStart=\\nExecStart=/srv/ollama " +
      `--port 11434 --models ${MODELS} --installed all-minilm:latest\\n' >/etc/systemd/system/ollama.service.d/user.conf`,
  );
  await box.run("systemctl daemon-reload && systemctl restart ollama");
  await box.until(`ls ${MODELS}/manifests ${MODELS}/blobs`);
}

/** A blob that no model names. Its inode is new, so prune only gets as far as to ask for the right to remove it. */
async function plantOrphan(box: Box): Promise<void> {
  await box.run(`echo left over >${ORPHAN} && chown ollama: ${ORPHAN}`);
}

async function prune(box: Box): Promise<string> {
  const { stdout, stderr } = await box.sh("gpuctl prune gpu-1 --yes");
  return stdout + stderr;
}

test(
  "prune names what is missing, and may write after install.sh --manage-blobs, until the agent is uninstalled",
  onBox(async (box) => {
    await ollamaOfItsOwn(box);
    await installed(box, "old");
    await box.until("gpuctl disk gpu-1");
    await plantOrphan(box);
    const refused = await prune(box);
    report(refused);
    expect(refused).toContain("this user may not write in");
    expect(refused).toContain("install.sh --manage-blobs");

    const dry = await installed(box, "old", "--manage-blobs --dry-run");
    expect(dry).toContain(`let gpu-courier write in ${MODELS}/blobs`);
    expect(await prune(box)).toContain("may not write in");

    report(await installed(box, "old", "--manage-blobs"));
    expect(await box.run(`stat -c '%a %U' ${MODELS}/blobs`)).toBe("775 ollama");
    await box.until("gpuctl disk gpu-1");
    // It may write now; what changed within the hour stays.
    expect(await prune(box)).toContain("it changed less than an hour ago");
    expect(await installed(box, "old", "--manage-blobs")).toContain("Nothing new");

    // An upgrade keeps it.
    await installed(box, "new");
    await box.until("gpuctl disk gpu-1");
    expect(await prune(box)).toContain("it changed less than an hour ago");

    report(await installed(box, "new", "--uninstall"));
    expect(await box.run(`stat -c %a ${MODELS}/blobs`)).toBe("755");
    expect((await box.sh(`ls /etc/systemd/system/${AGENT_UNIT}.service.d/blobs.conf`)).status).not.toBe(0);
    expect(await box.run(`cat ${ORPHAN}`)).toBe("left over");
  }),
  180_000,
);

test(
  "a run that fails after it leaves the folder as it was",
  onBox(async (box) => {
    await ollamaOfItsOwn(box);
    await installed(box, "old");
    const { status, stderr } = await install(box, "exits", "--manage-blobs");
    expect([status, stderr]).toEqual([1, expect.stringContaining("All changes were undone")]);
    expect(await box.run(`stat -c %a ${MODELS}/blobs`)).toBe("755");
    expect((await box.sh(`ls /etc/systemd/system/${AGENT_UNIT}.service.d/blobs.conf`)).status).not.toBe(0);
  }),
  180_000,
);
