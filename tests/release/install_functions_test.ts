// install.sh and who else may write where it works: groups of the share, prefixes, names beside a target, links on the share.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Installer } from "./installer.ts";

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
  ])("%i %s, with --group '%s': %s", async (gid, name, given, what) => {
    const options = given === "" ? [] : ["--group", given];
    const ask = `joins=''; let_in "2770 0 ${gid} ${name}" && echo joins $joins || echo withheld $withheld`;
    expect((await installer.functions(GROUPS + ask, ...options)).stdout).toBe(`${what}\n`);
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
