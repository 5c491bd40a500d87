// install.sh with NATS instead of a share: a nats-server in the box, set up as gpuctl nats-permissions prints it.
import { expect, test } from "bun:test";
import { nkeys } from "@nats-io/transport-node";
import { report } from "#tests/nfs/guest/figures.ts";
import { type Box, onBox } from "#tests/systemd/site/box.ts";
import { AGENT_UNIT, install, installed, OWN_STATE } from "#tests/systemd/site/installation.ts";
import { changes, snapshot } from "#tests/systemd/site/snapshot.ts";

const ADDRESS = "nats://127.0.0.1:4222";
const FOLDER = "/var/lib/nats";

/** Makes a key in the box, with its seed in a file. @returns the public key */
async function makeKey(box: Box, name: string): Promise<string> {
  const key = nkeys.createUser();
  await box.run(`umask 077; echo ${Buffer.from(key.getSeed()).toString()} >${FOLDER}/${name}.nk`);
  return key.getPublicKey();
}

/** As docs/nats.md says. The operator makes the buckets. */
async function startNats(box: Box): Promise<void> {
  await box.run(`mkdir -m 700 ${FOLDER}`);
  const [server, operator] = [await makeKey(box, "server"), await makeKey(box, "operator")];
  const agent = await makeKey(box, "gpu-1");
  await makeKey(box, "unknown");
  await box.run(`cd ${FOLDER} && /srv/old/gpuctl nats-permissions | \
    sed 's/$nkey_server/${server}/; s/$nkey_operator/${operator}/' >gpu_courier.conf
    /srv/old/gpuctl nats-permissions gpu-1=${agent} >gpu_courier_agents.conf
    cat >nats.conf <<'END'
listen: "127.0.0.1:4222"
accounts { include "gpu_courier.conf" }
jetstream { store_dir: "${FOLDER}/store", sync_interval: always }
max_payload: 8MB
END
    systemd-run --quiet --unit=nats --property=Restart=always /srv/nats-server -c ${FOLDER}/nats.conf`);
  await box.until(gpuctl("agents"));
}

function gpuctl(words: string): string {
  return `/srv/old/gpuctl ${words} --transport ${ADDRESS} --nats-creds ${FOLDER}/operator.nk`;
}

const asAgent = `--transport ${ADDRESS} --nats-creds ${FOLDER}/gpu-1.nk`;

test(
  "an agent and a server on NATS run, have their credentials for themselves, and go away again",
  onBox(async (box) => {
    await startNats(box);
    await box.run(`(umask 077; echo gpuc_of-this-box > ${FOLDER}/mirror.token)`);
    const before = await snapshot(box);
    const mirror = `--mirror-url https://gpu.example.org/mirror --mirror-token-file ${FOLDER}/mirror.token`;
    const printed = await installed(box, "old", `${asAgent} ${mirror}`);
    report(`install.sh on NATS\n${printed}`);
    expect(printed).toContain(`Done: ${AGENT_UNIT}.service runs, Ollama `);
    expect(await box.run("stat -c '%a %U %G' /etc/gpu-courier/agent-nats.creds")).toBe("600 gpu-courier root");
    expect(await box.run("stat -c '%a %U %G' /etc/gpu-courier/agent-mirror.token")).toBe("600 gpu-courier root");
    const settings = "^GPU_COURIER_MIRROR_.*";
    expect((await box.run(`grep -o '${settings}' /etc/gpu-courier/agent.env`)).split("\n")).toEqual([
      "GPU_COURIER_MIRROR_URL=https://gpu.example.org/mirror",
      "GPU_COURIER_MIRROR_TOKEN_FILE=/etc/gpu-courier/agent-mirror.token",
    ]);
    expect(await installed(box, "old", `${asAgent} ${mirror}`)).toContain("Nothing new");
    expect(await box.run("ls -A /export")).toBe("");
    expect(JSON.parse(await box.run(gpuctl("agents --json"))).agents).toMatchObject([
      { agent: "gpu-1", status: "online" },
    ]);
    expect(await box.run(gpuctl("ping --agent gpu-1"))).toContain("gpu-1");
    expect(await installed(box, "old", asAgent)).toContain("Nothing new");
    expect(await installed(box, "old")).toContain("Nothing new");
    const server = `--role server --transport ${ADDRESS} --nats-creds ${FOLDER}/server.nk`;
    await installed(box, "old", server);
    expect(await box.run("stat -c '%a %U' /etc/gpu-courier/server-nats.creds")).toBe("600 gpu-courier");
    await box.until("python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8001/readyz\")'");
    await installed(box, "old", "--role server --uninstall --purge");
    await installed(box, "old", "--uninstall --purge");
    expect(changes(before, await snapshot(box)).filter((line) => !line.includes(`${FOLDER}/store`))).toEqual([]);
  }),
  120_000,
);

test(
  "a mirror without a token, or with a file that holds none, is refused before anything is changed",
  onBox(async (box) => {
    await box.run(
      `mkdir -p ${FOLDER} && printf 'Authorization: Bearer x\n' > ${FOLDER}/header && touch ${FOLDER}/empty`,
    );
    const before = await snapshot(box);
    const url = "--mirror-url https://gpu.example.org/mirror";
    for (const [options, status, message] of [
      [url, 64, "--mirror-url needs --mirror-token-file"],
      [`--mirror-token-file ${FOLDER}/header`, 64, "Give its address too: --mirror-url"],
      [`${url} --mirror-token-file ${FOLDER}/none`, 66, `There is no file ${FOLDER}/none`],
      [`${url} --mirror-token-file ${FOLDER}/header`, 65, `This is no token: ${FOLDER}/header`],
      [`${url} --mirror-token-file ${FOLDER}/empty`, 65, `This is no token: ${FOLDER}/empty`],
    ] as const) {
      const refused = await install(box, "old", `--share /export ${options}`);
      expect([refused.status, refused.stderr]).toEqual([status, expect.stringContaining(message)]);
    }
    expect(changes(before, await snapshot(box))).toEqual([]);
  }),
  60_000,
);

test(
  "a restart of nats-server is survived; credentials that it does not know are refused, and all is undone",
  onBox(async (box) => {
    await startNats(box);
    const before = await snapshot(box);
    const { status, stdout, stderr } = await install(box, "old", asAgent.replace("gpu-1.nk", "unknown.nk"));
    report(`unknown credentials: exit status ${status}\n${stdout}${stderr}`);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/gpu-agent \S+ is unhealthy: .*NATS/i)]);
    expect(changes(before, await snapshot(box)).filter((line) => !line.includes(`${FOLDER}/store`))).toEqual([]);
    await installed(box, "old", asAgent);
    await box.run("systemctl kill --signal=KILL nats");
    await box.until(gpuctl("ping --agent gpu-1"));
    expect(await box.run(`cat ${OWN_STATE}/instance`)).not.toBe("");
  }),
  150_000,
);
