// src/transport/share/access: which folder denies us, and the hint for it, where a real case needs another machine or user.
// tests/long/users_test.ts and tests/nfs/squash_test.ts run the printed commands.
import { describe, expect, test } from "bun:test";
import { describeDenial } from "#src/transport/share/access/denial.ts";
import { fixShare, onServer, SEE_PERMISSIONS } from "#src/transport/share/access/fix.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import type { Facts, Primitives } from "#src/transport/share/calls/primitives.ts";
import { Layout } from "#src/transport/share/layout.ts";
import { parseMounts } from "#src/transport/share/mount/table.ts";

const layout = new Layout("/gpu courier/shared");
const { root, commands } = layout;
const uid = process.geteuid?.() ?? 0;
const gid = process.getegid?.() ?? 0;
/** Neither this user's nor a group of this user. */
const FOREIGN = { uid: uid + 1, gid: 61_777 };

/** A share of these folders; all others cannot be seen. */
function share(folders: Readonly<Record<string, Partial<Facts>>>): Primitives {
  const lstat = (path: string): Facts => {
    const own = folders[path];
    if (own === undefined) throw Object.assign(new Error("planted"), { code: "EACCES" });
    const common = { kind: "folder", size: 0, mtimeNs: 0n, ino: 1n, dev: 1n, nlink: 2 } as const;
    return { ...common, mode: 0o755, uid: 0, gid: 0, ...own };
  };
  const access = (): never => {
    throw Object.assign(new Error("planted"), { code: "EACCES" });
  };
  return { ...localPrimitives, lstat, stat: lstat, access };
}

describe("describeDenial()", () => {
  const denialOf = async (folders: Parameters<typeof share>[0], path = commands.path) =>
    await describeDenial({ fs: share(folders), layout }, path);

  test("names the folder that lets no group in, and quotes its path for a shell", async () => {
    const denial = await denialOf({ [root]: {}, [commands.path]: { ...FOREIGN, mode: 0o2755 } });
    const path = `'${commands.path}'`;
    expect(denial).toEqual({
      state: `permission denied for uid ${uid}, gid ${gid}: ${commands.path} is owned by ${uid + 1}:61777, mode 2755`,
      hint: `Let group ${gid} in: sudo chgrp -R ${gid} ${path} && sudo chmod -R g+rwX ${path} && sudo chmod g+s ${path}`,
    });
  });

  test("names the top folder when both it and a folder in it deny", async () => {
    const folders = { [root]: {}, [commands.path]: FOREIGN, [`${commands.path}/.tmp`]: FOREIGN };
    expect((await denialOf(folders, `${commands.path}/.tmp`))?.state).toContain(`: ${commands.path} is owned by`);
  });

  test("changes only the share's own folder when that denies: it may hold more than our files", async () => {
    const denial = await denialOf({ [root]: FOREIGN }, root);
    expect(denial?.hint).toBe(`Let group ${gid} in: sudo chgrp ${gid} '${root}' && sudo chmod g+rwxs '${root}'`);
  });

  test("names the group to join if one is let in, never root's or nobody's", async () => {
    const join = await denialOf({ [root]: {}, [commands.path]: { ...FOREIGN, mode: 0o2770 } });
    expect(join?.hint).toStartWith("Join its group, then start again: sudo groupadd -g 61777 share-61777 && ");
    for (const nobodys of [0, 65_534].filter((each) => each !== gid)) {
      const denial = await denialOf({ [root]: {}, [commands.path]: { uid: uid + 1, gid: nobodys, mode: 0o2770 } });
      expect(denial?.hint).toStartWith(`Let group ${gid} in: `);
    }
  });

  test("points to the documentation for a closed folder above the share", async () => {
    const denial = await denialOf({ "/": {}, "/gpu courier": { mode: 0o700, ...FOREIGN } }, root);
    expect(denial).toEqual({
      state: `permission denied for uid ${uid}, gid ${gid}: /gpu courier is owned by ${uid + 1}:61777, mode 0700`,
      hint: SEE_PERMISSIONS,
    });
  });

  test.each([0o500, 0o1777, 0o777])(
    "points to the documentation for a folder of this user with mode %o",
    async (mode) => {
      const denial = await denialOf({ [root]: {}, [commands.path]: { uid, gid, mode } });
      const octal = mode.toString(8).padStart(4, "0");
      expect(denial?.state).toEndWith(`: ${commands.path} is owned by ${uid}:${gid}, mode ${octal}`);
      expect(denial?.hint).toBe(SEE_PERMISSIONS);
    },
  );
});

describe("onServer()", () => {
  const [mount = expect.unreachable()] = parseMounts(
    "36 25 0:46 / /mnt/shared rw - nfs4 [fd00::1]:/export/shared rw,vers=4.2,sec=sys",
  );

  test("finds a path's place on its file server", () => {
    const on = (path: string) => onServer(mount, path);
    expect(on("/mnt/shared")).toEqual({ server: "[fd00::1]", path: "/export/shared" });
    expect(on("/mnt/shared/gpu_status/.tmp")).toEqual({ server: "[fd00::1]", path: "/export/shared/gpu_status/.tmp" });
    expect(onServer({ ...mount, source: "/dev/sda1" }, "/mnt/shared")).toBeNull();
  });

  test("a command for a local share is for this machine", () => {
    expect(fixShare("Do it", "/tmp", (path) => `touch ${path}`)).toBe("Do it: touch /tmp");
  });
});
