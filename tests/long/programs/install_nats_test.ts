// install.sh with NATS instead of a share: which settings and files it accepts. Boxes with a real one are in tests/systemd.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Installer } from "../../release/installer.ts";

const SEED = `SU${"A".repeat(56)}`;
const DECIDE = [
  "set_role; installed=1; decide_transport; decide_mirror; check_copied_files",
  "echo transport=$transport share=$opt_share $uses_share",
].join("; ");

let installer: Installer;
beforeEach(async () => {
  installer = new Installer();
  await installer.stock();
  await installer.write("gpu-1.nk", `${SEED}\n`);
  await installer.write("other", "no credentials\n");
});
afterEach(async () => await installer.close());

const path = (name: string): string => `${installer.dir}/${name}`;

async function decided(...options: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await installer.functions(DECIDE, ...options);
  return status === 0 ? stdout.trim() : `${status} ${stderr.split("\n")[0]}`;
}

test("--transport names NATS or a share, and an installed one stays", async () => {
  expect(await decided("--transport", "tls://a:4222,[::1]")).toBe("transport=tls://a:4222,[::1] share=");
  expect(await decided("--transport", "share:/mnt/shared")).toBe("transport= share=/mnt/shared 1");
  await installer.write("etc/agent.env", "GPU_COURIER_TRANSPORT=nats://host\n");
  expect(await decided()).toBe("transport=nats://host share=");
  expect(await decided("--share", "/mnt/shared")).toStartWith("73 ");
  await installer.write("etc/agent.env", "GPU_COURIER_TRANSPORT=share:/mnt/other\n");
  expect(await decided()).toBe("transport= share=/mnt/other 1");
});

test("a server may have a share beside NATS, in either setting, and an agent may not", async () => {
  const server = async (...options: readonly string[]): Promise<string> =>
    await decided("--role", "server", ...options);
  expect(await server("--transport", "nats://host")).toBe("transport=nats://host share=");
  expect(await server("--transport", "nats://host", "--share", "/a")).toBe("transport=nats://host share=/a 1");
  await installer.write("etc/server.env", "GPU_COURIER_TRANSPORT=share:/mnt/shared nats://host\n");
  expect(await server()).toBe("transport=nats://host share=/mnt/shared 1");
  expect(await server("--share", "/mnt/shared")).toBe("transport=nats://host share=/mnt/shared 1");
  expect(await server("--share", "/mnt/other")).toStartWith("73 ");
  await installer.write("etc/server.env", "GPU_COURIER_SHARE=/mnt/shared\nGPU_COURIER_TRANSPORT=nats://host\n");
  expect(await server()).toBe("transport=nats://host share= 1");
  await installer.write("etc/agent.env", "GPU_COURIER_SHARE=/mnt/shared\nGPU_COURIER_TRANSPORT=nats://host\n");
  expect(await decided()).toBe("transport=nats://host share=");
});

test("credentials must be a file with a seed or of nsc, go with NATS, and replace no other setting", async () => {
  const nats = ["--transport", "nats://host"];
  expect(await decided(...nats, "--nats-creds", path("gpu-1.nk"))).toBe("transport=nats://host share=");
  expect(await decided("--nats-creds", path("gpu-1.nk"))).toStartWith("64 install.sh: --nats-creds is for NATS");
  expect(await decided(...nats, "--nats-creds", path("gone"))).toStartWith("66 install.sh: There is no file");
  expect(await decided(...nats, "--nats-ca", path("gone"))).toStartWith("66 install.sh: There is no file");
  expect(await decided(...nats, "--nats-creds", path("other"))).toStartWith("65 install.sh: These are no credentials");
  await installer.write("etc/agent.env", "GPU_COURIER_NATS_CREDS=/etc/mine\n");
  expect(await decided(...nats, "--nats-creds", path("gpu-1.nk"))).toMatch(/^73 .*GPU_COURIER_NATS_CREDS=\/etc\/mine/);
});

test("settings name NATS and the copies, which each role has for itself, and no share", async () => {
  const write = `set_role; installed=1 version=1 restart='' unit=x
    put_file() { cat "$1"; }
    cp "$release/systemd/$settings" "$temp/$settings"; decide_transport; write_settings`;
  const options = ["--transport", "nats://host", "--nats-creds", path("gpu-1.nk"), "--nats-prefix", "lab"];
  for (const role of ["agent", "server"]) {
    const { stdout } = await installer.functions(write, "--role", role, ...options);
    expect(stdout.split("\n").filter((line) => /^[A-Z]/.test(line))).toEqual([
      "GPU_COURIER_TRANSPORT=nats://host",
      `GPU_COURIER_NATS_CREDS=${installer.config}/${role}-nats.creds`,
      "GPU_COURIER_NATS_PREFIX=lab",
    ]);
  }
});
