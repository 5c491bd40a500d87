// install.sh --manage-blobs: the right to write in the folder of Ollama's blobs, and what it refuses to touch. Needs root.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { Installer } from "../../release/installer.ts";

/** The user of Ollama here, and a group that the service is in. */
const [OWNER, GROUP, SERVICE] = [65_534, 4_242, 4_243];

/** It changes owners, and acts as another user. */
const isRoot = process.getuid?.() === 0;

let installer: Installer;
let blobs: string;
beforeEach(async () => {
  installer = new Installer();
  await installer.stock();
  blobs = join(installer.dir, "models/blobs");
  mkdirSync(blobs, { recursive: true });
  chmodSync(installer.dir, 0o755);
  if (isRoot) for (const folder of [join(installer.dir, "models"), blobs]) own(folder);
  await installer.write("etc/agent.env", `GPU_COURIER_OLLAMA_MODELS=${installer.dir}/models\n`);
});
afterEach(async () => await installer.close());

function own(path: string): void {
  chownSync(path, OWNER, GROUP);
}

function mode(): string {
  return (statSync(blobs).mode & 0o7777).toString(8);
}

/** The service as a user that is in the folder's group, without setfacl. */
const SERVICE_IN_GROUP = `
  set_role; mkdir -p "$keep"; runs_as=svc changes=0 backups=0 replaced='' unit_changed=''
  as_user() { setpriv --reuid=${SERVICE} --regid=${SERVICE} --groups=${GROUP} "$@"; }
  groups_of_service() { echo ${SERVICE}; echo ${GROUP}; }
  command() { [ "$2" != setfacl ]; }
  put_file() { changes=$((changes + 1)); cp "$1" "$2"; }
`;

/** Setfacl and getfacl that write down what they were asked, and as whom. */
async function fakeAcl(listed: string): Promise<void> {
  await installer.write("bin/setfacl", `#!/bin/sh\necho "$(id -u) $(pwd) $*" >>${installer.dir}/acl\n`);
  await installer.write("bin/getfacl", `#!/bin/sh\nprintf '${listed}'\n`);
  await installer.write("acl", "");
  for (const name of ["bin/setfacl", "bin/getfacl", "acl"]) await chmod(join(installer.dir, name), 0o777);
}

describe("--manage-blobs", () => {
  if (!isRoot) {
    test("needs root, here as in operation", async () => {
      expect((await installer.install("--manage-blobs")).status).toBe(77);
    });
    return;
  }

  test("gives the folder's group the right where there is no setfacl, once, and withdraws it", async () => {
    const { status, stdout, stderr } = await installer.functions(
      `${SERVICE_IN_GROUP} find_blobs; begin; manage_blobs; manage_blobs; remembered blobs`,
      "--manage-blobs",
    );
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toBe(`  let svc write in ${blobs}\ngroup svc ${blobs}\n`);
    expect(mode()).toBe("775");
    const back = await installer.functions(`${SERVICE_IN_GROUP} begin; take_back_blobs; remembered blobs`);
    expect([back.status, back.stdout]).toEqual([0, `  take the right to write in ${blobs} from svc\n`]);
    expect(mode()).toBe("755");
  });

  test("is undone by a run that fails, both ways", async () => {
    await installer.functions(`${SERVICE_IN_GROUP} find_blobs; begin; manage_blobs; undo_all`, "--manage-blobs");
    expect(mode()).toBe("755");
    expect((await installer.functions("set_role; remembered blobs")).stdout).toBe("");
    await installer.functions(`${SERVICE_IN_GROUP} find_blobs; begin; manage_blobs; commit`, "--manage-blobs");
    await installer.functions(`${SERVICE_IN_GROUP} begin; take_back_blobs; undo_all`);
    expect(mode()).toBe("775");
    expect((await installer.functions("set_role; remembered blobs")).stdout).toBe(`group svc ${blobs}\n`);
  });

  test("uses setfacl where there is one, as the folder's own user and from inside", async () => {
    await fakeAcl("user::rwx\\ngroup::r-x\\nmask::rwx\\nother::r-x\\n");
    const service = `${SERVICE_IN_GROUP} unset -f command;`;
    await installer.functions(`${service} find_blobs; begin; manage_blobs; commit`, "--manage-blobs");
    expect(await installer.read("acl")).toBe(`${OWNER} ${blobs} -m u:svc:rwx .\n`);
    await installer.functions(`${service} begin; take_back_blobs`);
    expect((await installer.read("acl")).split("\n").slice(1)).toEqual([
      `${OWNER} ${blobs} -x u:svc .`,
      `${OWNER} ${blobs} -b .`,
      "",
    ]);
    expect(mode()).toBe("755");
  });

  test("keeps the rights of others when it withdraws the service's", async () => {
    await fakeAcl("user::rwx\\nuser:alice:r-x\\ngroup::r-x\\nmask::rwx\\nother::r-x\\n");
    await installer.functions(`${SERVICE_IN_GROUP} forbid_writing acl svc "${blobs}"`);
    expect(await installer.read("acl")).toBe(`${OWNER} ${blobs} -x u:svc .\n`);
  });

  test("names what is missing where there is no setfacl and no common group", async () => {
    const apart = `${SERVICE_IN_GROUP} groups_of_service() { echo ${SERVICE}; }; as_user() { false; };`;
    const { status, stderr } = await installer.functions(`${apart} find_blobs; begin; manage_blobs`, "--manage-blobs");
    expect([status, mode()]).toEqual([1, "755"]);
    expect(stderr).toContain("there is no setfacl, and svc is not in the group");
  });

  test("writes a drop-in only where the unit makes the folder read-only", async () => {
    const under = (path: string): string =>
      `${SERVICE_IN_GROUP} as_user() { :; }; begin; blobs=${path}; manage_blobs; cat "$UNITS/$unit.d/blobs.conf" 2>/dev/null`;
    expect((await installer.functions(under("/data/models/blobs"), "--manage-blobs")).stdout).toBe("");
    const { stdout } = await installer.functions(under("/usr/share/ollama/.ollama/models/blobs"), "--manage-blobs");
    expect(stdout).toContain("[Service]\nReadWritePaths=-/usr/share/ollama/.ollama/models/blobs\n");
  });

  test("refuses a folder that is missing, root's, or holds more than blobs", async () => {
    const find = async () => await installer.functions("set_role; find_blobs", "--manage-blobs");
    const permit = async () => await installer.functions(`set_role; permit_writing group svc "${blobs}"`);
    await installer.write("models/blobs/authorized_keys", "x");
    expect((await permit()).stderr).toContain("holds more than the blobs of Ollama");
    chownSync(blobs, 0, 0);
    expect(await find()).toMatchObject({ status: 73, stderr: expect.stringContaining("belongs to root") });
    expect((await permit()).stderr).toContain("belongs to root");
    await installer.write("etc/agent.env", "GPU_COURIER_OLLAMA_MODELS=/nowhere\n");
    expect(await find()).toMatchObject({ status: 66, stderr: expect.stringContaining("no folder /nowhere/blobs") });
    expect(mode()).toBe("755");
  });

  test("follows no link that was put in the place of the folder meanwhile", async () => {
    const elsewhere = join(installer.dir, "home");
    mkdirSync(elsewhere);
    own(elsewhere);
    const link = join(installer.dir, "models/link");
    symlinkSync(elsewhere, link);
    const { status } = await installer.functions(`${SERVICE_IN_GROUP} permit_writing group svc "${link}"`);
    expect([status, statSync(elsewhere).mode & 0o777]).toEqual([1, 0o755]);
  });

  test("is for an agent", async () => {
    const { status, stderr } = await installer.install("--role", "server", "--manage-blobs", "--dry-run");
    expect([status, stderr]).toEqual([64, expect.stringContaining("--manage-blobs")]);
  });
});
