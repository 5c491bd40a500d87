// src/transport/share/mount: the kernel's mount table, and the advice about its options.
import { describe, expect, test } from "bun:test";
import { adviseOnMount } from "#src/transport/share/mount/advice.ts";
import { mountAt, mountOf, parseMounts } from "#src/transport/share/mount/table.ts";

/** As Linux 6.1 writes them. */
const MOUNTINFO = String.raw`22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
97 28 0:45 / /mnt/auto rw,relatime shared:50 - autofs systemd-1 rw,fd=46,pgrp=1,timeout=0,minproto=5,maxproto=5,direct
99 97 0:46 / /mnt/auto rw,relatime shared:55 - nfs4 filer:/export/auto rw,vers=4.2,rsize=262144,wsize=262144,namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,clientaddr=10.0.2.15,local_lock=none,addr=10.0.2.2
101 28 0:47 /gpu /mnt/shared\040disk rw,noatime - nfs filer:/export/my\040share ro,vers=3,rsize=262144,wsize=262144,namlen=255,hard,nocto,proto=tcp,timeo=600,retrans=2,sec=sys,mountaddr=10.0.2.2,mountvers=3,mountport=20048,mountproto=udp,local_lock=none,addr=10.0.2.2
102 28 0:48 / /mnt/sharedtoo rw,relatime - cifs //filer/gpu rw,vers=3.1.1,cache=loose,username=gpu,uid=0,noforceuid,gid=0,noforcegid,addr=10.0.2.2,soft,unix,posixpaths
103 28 0:49 / /mnt/gone rw - nfs4 filer:/export/gone\040(deleted) rw,vers=4.2,soft
`;

const mounts = parseMounts(MOUNTINFO);

describe("parseMounts()", () => {
  test("reads device, point, type, source and both kinds of options, with what is escaped", () => {
    expect(mounts.length).toBe(7);
    expect(mounts[4]).toMatchObject({
      device: "0:47",
      point: "/mnt/shared disk",
      type: "nfs",
      source: "filer:/export/my share",
    });
    expect(mounts[4]?.options).toEqual(expect.arrayContaining(["rw", "ro", "noatime", "vers=3", "nocto"]));
  });

  test("leaves out what is no line of a mount", () => {
    expect(parseMounts("\nx y z\n - \n")).toEqual([]);
  });
});

describe("mountAt()", () => {
  test.each([
    ["/mnt/auto/x", "nfs4"],
    ["/mnt/auto", "nfs4"],
    ["/mnt/shared disk", "nfs"],
    ["/mnt/shared", "ext4"],
    ["/mnt/sharedtoo/deep/er", "cifs"],
    ["/srv", "ext4"],
  ])("%s is in %s: the deepest mount, and the last one at its point", (path, type) => {
    expect(mountAt(mounts, path)?.type).toBe(type);
  });

  test("is null where nothing is mounted at all", () => {
    expect(mountAt([], "/mnt/shared")).toBeNull();
  });
});

describe("mountOf()", () => {
  test("finds a mount by its device, the likely one first, and none for a device without a line", () => {
    const device = (major: bigint, minor: bigint): bigint => (major << 8n) | minor;
    expect(mountOf(mounts, device(0n, 46n))?.source).toBe("filer:/export/auto");
    expect(mountOf(mounts, device(254n, 1n))?.point).toBe("/");
    const likely = { device: "254:1", point: "/srv", type: "ext4", source: "/dev/vda1", options: [] };
    expect(mountOf(mounts, device(254n, 1n), likely)).toBe(likely);
    expect(mountOf(mounts, device(9n, 9n))).toBeNull();
  });
});

describe("adviseOnMount()", () => {
  function advise(type: string, options: string): string[] {
    const mount = { device: "0:1", point: "/mnt/shared", type, source: "filer:/export", options: options.split(",") };
    return adviseOnMount(mount).map(({ check, subject, result }) => `${result} ${subject ?? check}`);
  }

  const LATE = "ok legacy_backend";

  test.each([
    ["nfs4", "rw,vers=4.2,hard", ["ok mount_options", LATE]],
    ["nfs4", "rw,vers=4.2,hard,nocto", ["failed nocto", LATE]],
    ["nfs4", "rw,vers=4.2,soft", ["warning soft", LATE]],
    ["nfs4", "rw,vers=4.1,softerr", ["warning softerr", LATE]],
    ["nfs", "rw,vers=3,hard", ["warning vers=3", LATE]],
    ["nfs", "rw,vers=3,soft,nocto", ["warning vers=3", "warning soft", "failed nocto", LATE]],
    ["nfs4", "rw,sync,vers=4.2,acregmin=0,acregmax=0,acdirmin=0,acdirmax=0,hard,noac", ["warning noac", LATE]],
    ["nfs4", "rw,vers=4.2,hard,lookupcache=none", ["warning lookupcache=none", LATE]],
    ["nfs4", "rw,vers=4.2,hard,acregmin=0,acregmax=0,acdirmin=0,acdirmax=0", ["warning acdirmin=0", LATE]],
    ["nfs4", "rw,vers=4.2,hard,lookupcache=pos", ["ok mount_options", LATE]],
    ["cifs", "rw,vers=3.1.1,cache=loose,soft", ["ok mount_options", "failed cache=loose", "ok soft", LATE]],
    ["cifs", "rw,vers=3.1.1,cache=strict,soft,actimeo=1", ["ok mount_options", "ok soft", LATE]],
    ["smb3", "rw,vers=3.1.1,cache=none,hard,nobrl", ["ok mount_options", "ok cache=none", "ok hard", "ok nobrl", LATE]],
    ["cifs", "rw,vers=2.1,cache=strict,soft", ["ok mount_options", "warning vers=2.1", "ok soft", LATE]],
    ["cifs", "rw,vers=3.1.1,soft,acdirmax=60,acregmax=1", ["ok mount_options", "ok soft", "warning acdirmax=60", LATE]],
    ["fuse.sshfs", "rw,nosuid,user_id=0", ["ok mount_options"]],
    ["ext4", "rw,soft,nocto", []],
  ])("%s %s", (type, options, expected) => {
    expect(advise(type, options)).toEqual(expected);
  });

  test.each([
    ["vers=4.2,hard", "up to 60 s late", "lookupcache=pos"],
    ["vers=4.2,hard,acregmin=1,acregmax=1,acdirmin=1,acdirmax=1", "up to 1 s late", "lookupcache=pos"],
    ["vers=4.2,hard,lookupcache=pos", "at once", ""],
    ["vers=4.2,hard,noac", "at once", ""],
  ])("with %s a legacy backend sees its answers %s", (options, message, hint) => {
    const mount = { device: "0:1", point: "/m", type: "nfs4", source: "filer:/x", options: options.split(",") };
    const check = adviseOnMount(mount).find(({ check: name }) => name === "legacy_backend");
    expect(check?.message).toContain(message);
    expect(check?.hint ?? "").toContain(hint);
  });

  test("over SMB it names the options that are right, and explains soft", () => {
    const options =
      "rw,relatime,vers=3.1.1,cache=strict,username=gpu,soft,nounix,serverino,actimeo=1,closetimeo=1".split(",");
    const checks = adviseOnMount({ device: "0:1", point: "/m", type: "cifs", source: "//filer/gpu", options });
    expect(checks.map(({ subject, message }) => [subject, message])).toEqual([
      [null, "vers=3.1.1, cache=strict, actimeo=1: as recommended"],
      ["soft", expect.stringContaining("The default of SMB: calls fail 10 to 40 s after its server refuses them")],
      [null, "A legacy backend on this machine sees its responses within 2 s"],
    ]);
  });

  test("every warning and failure has a hint", () => {
    const options = "vers=3,soft,softerr,nocto,noac,lookupcache=none,acdirmin=0,cache=loose,actimeo=60".split(",");
    for (const type of ["nfs", "cifs"]) {
      const checks = adviseOnMount({ device: "0:1", point: "/m", type, source: "filer:/x", options });
      for (const { result, hint } of checks) expect(result === "ok" || hint !== null).toBe(true);
    }
  });
});
