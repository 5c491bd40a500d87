// install.sh on a box that has nothing of ours: what it does, what it leaves alone, and how all of it goes away again.
import { expect, test } from "bun:test";
import { report } from "#tests/nfs/guest/figures.ts";
import { manualTest } from "#tests/systemd/site/agent.ts";
import { type Box, onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, install, installed, OWN_STATE, settings } from "#tests/systemd/site/installation.ts";
import { OLD_VERSION } from "#tests/systemd/site/scope.ts";
import { changes, snapshot } from "#tests/systemd/site/snapshot.ts";
import { timed } from "#tests/systemd/site/timed.ts";

async function mainPid(box: Box): Promise<string> {
  return (await box.properties(AGENT_UNIT, "MainPID")).MainPID;
}

const LICENSES = "/etc/gpu-courier/THIRD_PARTY_LICENSES";

test(
  "a second run changes nothing, restarts nothing and reports that",
  onBox(async (box) => {
    await installed(box, "old");
    const before = { files: await snapshot(box, OWN_STATE), pid: await mainPid(box) };
    const { result, durationMs } = await timed(async () => await installed(box, "old"));
    report(`a second run: ${Math.round(durationMs)} ms\n${result}`);
    expect(result).toContain("Nothing new");
    expect(changes(before.files, await snapshot(box, OWN_STATE))).toEqual([]);
    expect(await mainPid(box)).toBe(before.pid);
  }),
  90_000,
);

test(
  "--dry-run shows the changes and makes none; neither does a wrong checksum",
  onBox(async (box) => {
    const before = await snapshot(box);
    const dry = await installed(box, "old", "--dry-run");
    report(`--dry-run\n${dry}`);
    for (const named of [
      "/usr/local/bin/gpu-agent",
      LICENSES,
      "/etc/gpu-courier/agent.env",
      AGENT_UNIT,
      "user gpu-courier",
    ])
      expect(dry).toContain(named);
    expect(changes(before, await snapshot(box))).toEqual([]);
    expect(await box.run("ls -A /export")).toBe("");
    const wrong = await install(box, "tampered");
    report(`a wrong checksum: exit status ${wrong.status}\n${wrong.stderr}`);
    expect([wrong.status, wrong.stderr]).toEqual([65, expect.stringMatching(/[Ww]rong checksum.*gpu-agent/)]);
    expect(changes(before, await snapshot(box))).toEqual([]);
    await installed(box, "old");
    const [running, pid] = [await snapshot(box, OWN_STATE), await mainPid(box)];
    expect((await install(box, "tampered")).status).toBe(65);
    expect(changes(running, await snapshot(box, OWN_STATE))).toEqual([]);
    expect([await mainPid(box), await box.run("ls /")]).toEqual([pid, expect.not.stringContaining("tampered")]);
  }),
  90_000,
);

test(
  "--uninstall leaves settings and state alone, --purge nothing at all",
  onBox(async (box) => {
    const before = await snapshot(box);
    await installed(box, "old");
    await settings(box, "GPU_COURIER_LOG_LEVEL=debug");
    const instance = await box.run(`cat ${OWN_STATE}/instance`);
    expect(
      await box.run(`cmp /srv/old/THIRD_PARTY_LICENSES ${LICENSES}; grep -c "Apache License" ${LICENSES}`),
    ).not.toBe("0");
    await installed(box, "old", "--uninstall");
    expect((await box.sh(`ls ${LICENSES}`)).stdout).toBe("");
    const kept = changes(before, await snapshot(box));
    report(`--uninstall left\n${kept.map((line) => `    ${line}`).join("\n")}`);
    expect(await box.run(`cat ${OWN_STATE}/instance`)).toBe(instance);
    expect(await box.run("cat /etc/gpu-courier/agent.env")).toContain("GPU_COURIER_LOG_LEVEL=debug");
    expect((await box.sh(`systemctl cat ${AGENT_UNIT}; ls /usr/local/bin/*`)).stdout).toBe("");
    await installed(box, "old");
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
    expect(await box.run(`cat ${OWN_STATE}/instance`)).toBe(instance);
    await installed(box, "old", "--uninstall --purge");
    expect(changes(before, await snapshot(box))).toEqual([]);
  }),
  90_000,
);

test(
  "without a mounted share it creates nothing there and shows what to do",
  onBox(async (box) => {
    await box.run("umount /mnt/shared");
    const before = await snapshot(box);
    const { status, stdout, stderr } = await install(box, "old");
    report(`without a share: exit status ${status}\n${stdout}${stderr}`);
    expect([status, stderr]).toEqual([69, expect.stringContaining("not mounted?")]);
    expect(changes(before, await snapshot(box))).toEqual([]);
    expect(await box.run("ls -A /mnt/shared")).toBe("");
  }),
  120_000,
);

test(
  "--role server offers HTTP with a token, beside the agent, and goes away again",
  onBox(async (box) => {
    await installed(box, "old");
    const before = await snapshot(box, OWN_STATE);
    const printed = await installed(box, "old", "--role server");
    report(`--role server\n${printed}`);
    const token = await box.run(
      /^ {2}(sudo .*token add.*)$/m.exec(printed)?.[1]?.replace("NAME", "platform") ?? "false",
    );
    const ask = `import urllib.request as u; print(u.urlopen(u.Request("http://127.0.0.1:8001/v1/agents", headers={"Authorization": "Bearer ${token}"})).read().decode())`;
    expect(JSON.parse(await box.run(`python3 -c '${ask}'`)).agents).toMatchObject([
      { agent: "gpu-1", agent_version: OLD_VERSION },
    ]);
    const status = await box.run("systemctl status gpu-courier-server");
    report(`its status line: ${/Status: .*/.exec(status)?.[0]}`);
    const { durationMs } = await timed(async () => await box.run("systemctl restart gpu-courier-server"));
    report(`its restart: ${Math.round(durationMs)} ms`);
    await installed(box, "old", "--role server --uninstall --purge");
    expect(changes(before, await snapshot(box, OWN_STATE))).toEqual([]);
    expect(await manualTest(box)).toEqual(["all-minilm:latest"]);
  }),
  90_000,
);

test(
  "while another install.sh is running it does nothing",
  onBox(async (box) => {
    const before = await snapshot(box);
    const { status, stderr } = await box.sh("flock /etc/systemd/system sh /srv/old/install.sh --yes");
    expect([status, stderr]).toEqual([73, expect.stringContaining("Another install.sh is running")]);
    expect(changes(before, await snapshot(box))).toEqual([]);
  }),
  90_000,
);
