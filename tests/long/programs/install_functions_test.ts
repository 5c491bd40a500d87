// install.sh and who else may write where it works: groups of the share, prefixes, names beside a target, links on the share.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Installer } from "../../release/installer.ts";

let installer: Installer;
beforeEach(async () => {
  installer = new Installer();
  await installer.stock();
});
afterEach(async () => await installer.close());

/** A machine with these groups, on which the user of the service is in none but its own. */
const GROUPS = `
  getent() { printf '%s:x:%s:\\n' root 0 disk 6 adm 4 sudo 27 docker 2375; }
  groups_of_service() { echo 990; }
`;

describe("a group of the share", () => {
  test.each([
    [6, "disk", "", "withheld disk"],
    [27, "sudo", "", "withheld sudo"],
    [2375, "docker", "", "withheld docker"],
    // Another name of the same group.
    [6, "gpu", "gpu", "withheld gpu"],
    [998, "render", "", "withheld render"],
    [998, "render", "video", "withheld render"],
    [998, "render", "render", "joins render"],
    [998, "gpu", "", "joins gpu"],
    [998, "gpu-courier", "", "joins gpu-courier"],
    [4242, "staff", "", "joins staff"],
    [1000, "people", "", "joins people"],
    [998, "UNKNOWN", "", "joins gpu-courier-share"],
    // An agent is in it for Ollama's models anyway.
    [998, "ollama", "", "joins ollama"],
  ])("%i %s, with --group '%s': %s", async (gid, name, given, what) => {
    const options = given === "" ? [] : ["--group", given];
    const ask = `joins=''; let_in "2770 0 ${gid} ${name}" && echo joins $joins || echo withheld $withheld`;
    expect((await installer.functions(GROUPS + ask, ...options)).stdout).toBe(`${what}\n`);
  });

  test("that is Ollama's is for an agent alone, which joins it once", async () => {
    const ask = `${GROUPS} joins=''; let_in "2770 0 998 ollama" || echo withheld $withheld`;
    expect((await installer.functions(ask, "--role", "server")).stdout).toBe("withheld ollama\n");
    const joined = `${GROUPS} id() { [ $# = 1 ]; }; change() { echo "$2"; }; remember() { :; }; remembered() { :; }
      joins='' new_group=''; let_in "2770 0 998 ollama"; install_user`;
    expect((await installer.functions(joined)).stdout).toBe("add gpu-courier to the group ollama\n");
  });

  test("that is a system group is refused with the command that gives the folders another one", async () => {
    const look = (root: string): string =>
      `${GROUPS} root='${root}' commands='2770 0 6 disk' status_folder='2770 0 6 disk'; check_access; echo joined >&2`;
    const { status, stderr } = await installer.functions(look("755 0 0 root"));
    expect([status, stderr]).toEqual([69, expect.stringContaining("gpu-courier would need the group disk")]);
    expect(stderr).toContain("sudo chgrp -R gpu-courier /mnt/shared/gpu_commands /mnt/shared/gpu_status\n");
    expect(stderr).not.toContain("sudo chgrp gpu-courier /mnt/shared\n");
    expect((await installer.functions(look("2770 0 6 disk"))).stderr).toContain("sudo chgrp gpu-courier /mnt/shared\n");
  });

  test("that alone may enter it is refused before a folder is made there", async () => {
    const look = (mode: string): string =>
      `${GROUPS} root='${mode} 0 6 disk' commands='' status_folder=''; check_access; echo $making`;
    const { status, stderr } = await installer.functions(look("2770"));
    expect([status, stderr]).toEqual([69, expect.stringContaining("sudo chgrp gpu-courier /mnt/shared\n")]);
    expect(await installer.functions(look("2775"))).toMatchObject({ status: 0, stdout: "root\n" });
  });
});

describe("--prefix", () => {
  test.each([
    ["0 775", "Others than root may write to"],
    ["0 2775", "Others than root may write to"],
    ["0 757", "Others than root may write to"],
    ["1000 755", "does not belong to root"],
  ])("below a folder of %s is refused", async (found, problem) => {
    const stat = `stat() { case $4 in "$root"/opt) echo '${found}' ;; *) echo '0 755' ;; esac; }; prefix=$root/opt/x; check_prefix`;
    const { status, stderr } = await installer.functions(stat);
    expect([status, stderr]).toEqual([73, expect.stringContaining(problem)]);
    expect(stderr).toContain(`${installer.dir}/opt`);
  });

  test("below several folders that others may write to names all in one command", async () => {
    const stat = `stat() { case $4 in "$root"/usr/local | "$root"/usr/local/bin) echo '0 2775' ;; *) echo '0 755' ;; esac; }
      prefix=$root/usr/local; check_prefix`;
    const { status, stderr } = await installer.functions(stat);
    const local = `${installer.dir}/usr/local`;
    expect([status, stderr]).toEqual([73, expect.stringContaining(`sudo chmod go-w ${local}/bin ${local}, or`)]);
  });

  test("is followed through its links once, and its bin must not be one", async () => {
    await mkdir(join(installer.dir, "real"));
    await symlink(join(installer.dir, "real"), join(installer.dir, "link"));
    const ask = (prefix: string): string =>
      `set_role; installed='' installed_prefix=${prefix} installed_user='' old_unit='' opt_name=gpu-1
      check_prefix() { echo "$prefix"; }; opt_prefix=$root/link; decide`;
    for (const prefix of ["''", "$root/link", "$root/real"]) {
      expect((await installer.functions(ask(prefix))).stdout).toBe(`${installer.dir}/real\n`);
    }
    await symlink(join(installer.dir, "bin"), join(installer.dir, "real/bin"));
    const { status, stderr } = await installer.functions("prefix=$root/real; check_prefix");
    expect([status, stderr]).toEqual([73, expect.stringContaining("real/bin is a link")]);
    expect((await installer.functions("prefix='/opt/a b'; check_prefix")).status).toBe(64);
  });

  test("is taken where only root may change what is root's", async () => {
    const stat = `stat() { case $4 in "$root") echo '0 1777' ;; *) echo '0 755' ;; esac; }; prefix=$root/opt/x; check_prefix`;
    expect(await installer.functions(stat)).toEqual({ status: 0, stdout: "", stderr: "" });
  });
});

describe("a file that is replaced", () => {
  test("is not written through a link that somebody put beside it", async () => {
    await installer.write("victim", "mine");
    await installer.write("file", "new");
    await symlink(join(installer.dir, "victim"), join(installer.dir, "bin/program.new"));
    const swap = `chown() { :; }; swap_in "$root/file" "$root/bin/program" 755; ls "$root/bin"`;
    expect((await installer.functions(swap)).stdout).toBe("program\nsystemctl\n");
    expect([await installer.read("victim"), await installer.read("bin/program")]).toEqual(["mine", "new"]);
  });

  test("leaves nothing beside it when a run was killed and is undone", async () => {
    for (const path of ["bin/program.new.aBc123/it", "bin/program.new", "bin/other.new.aBc123/it"])
      await installer.write(path, "x");
    await installer.functions(`undo_one remove "$root/bin/program"; undo_one restore 1 "$root/bin/other"`);
    expect((await installer.functions(`ls "$root/bin"`)).stdout).toBe("systemctl\n");
  });
});

describe("an empty folder on the share", () => {
  test("is emptied of our own as the user of the service, never as root", async () => {
    await installer.write("share/gpu_status/.tmp/precious", "x");
    await installer.functions(`as_user() { return 1; }; drop_empty "$root/share/gpu_status"`);
    expect(await installer.has("share/gpu_status/.tmp/precious")).toBe(true);
    await installer.functions(`as_user() { "$@"; }; drop_empty "$root/share/gpu_status"`);
    expect((await installer.functions(`ls "$root/share"`)).stdout).toBe("");
  });

  test("that only root may remove is removed when it is empty", async () => {
    await mkdir(join(installer.dir, "share/gpu_status"), { recursive: true });
    await installer.functions(`as_user() { return 1; }; drop_empty "$root/share/gpu_status"`);
    expect((await installer.functions(`ls "$root/share"`)).stdout).toBe("");
  });
});

test("what one role leaves to the other when it goes is what is to be removed, not what was installed", async () => {
  await installer.write("keep/server/made", "unit 1\nrelease 2\nuser gpu-courier\n");
  await installer.write("keep/agent/made", "release 2\n");
  await installer.functions("keep=$KEEP/server; hand_over");
  expect(await installer.read("keep/agent/made")).toBe("release 2\nuser gpu-courier\n");
});

describe("the agent's key", () => {
  const conclude = `as_user() { "$@"; }
    prefix=$root/prefix state=$root/state name=gpu-1; say_key`;

  test("is shown at the end of an installation, for the operator to compare", async () => {
    const print = '#!/bin/sh\n[ "$*" = "key --name gpu-1 --state-dir STATE" ] && echo "ed25519 AAAA gpu-1"\n';
    await installer.write("prefix/bin/gpu-agent", print.replace("STATE", `${installer.dir}/state`));
    await chmod(join(installer.dir, "prefix/bin/gpu-agent"), 0o755);
    await installer.write("state/signing.key", "");
    const { status, stdout } = await installer.functions(conclude);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^ {2}key +ed25519 AAAA gpu-1\n$/)]);
  });

  test("is not asked for where systemd hands it over: that would make a second one", async () => {
    expect(await installer.functions(conclude)).toMatchObject({ status: 0, stdout: "" });
  });
});

test("unit and settings are written from the copies that were verified", async () => {
  const install = `
    chown() { :; }
    is_enabled() { :; }
    set_role; prefix=$root/prefix version=1.2.3 installed='' old_unit='' changes=0 backups=0 replaced='' restart='' opt_name=''
    cp "$release/SHA256SUMS" "$temp/SHA256SUMS"
    for file in "$unit" "$settings"; do verify "systemd/$file" "$temp/$file"; done
    for file in "$unit" "$settings"; do echo forged >"$release/systemd/$file"; done
    begin; install_unit; write_settings`;
  const { stderr } = await installer.functions(install);
  expect(stderr).toBe("");
  const written = [await installer.read("units/gpu-command-service.service"), await installer.read("etc/agent.env")];
  expect(written.map((text) => text.includes("forged"))).toEqual([false, false]);
  expect(written[0]).toContain(`ExecStart=${installer.dir}/prefix/bin/gpu-agent`);
  const again = await installer.functions(install);
  expect([again.status, again.stderr]).toEqual([65, expect.stringContaining("Wrong checksum")]);
});

test.each([
  ["its environment", "", "REQUIRE_SIGNATURES=warn", "warn"],
  ["a flag of its command line", "--require-signatures\0all\0", "REQUIRE_SIGNATURES=warn", "all"],
  ["a flag with its value in one", "--require-signatures=all\0", "", "all"],
  ["nothing", "", "", "default"],
])("the mode of a running service is that of %s", async (_, flags, variable, mode) => {
  await installer.write("process/cmdline", `/usr/local/bin/gpu-agent\0${flags}`);
  await installer.write("process/environ", `PATH=/bin\0GPU_COURIER_${variable}\0`);
  const ask = "pid=..$root/process; running REQUIRE_SIGNATURES default";
  expect((await installer.functions(ask)).stdout).toBe(`${mode}\n`);
});
