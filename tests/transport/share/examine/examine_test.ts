// The doctor's checks of a share: src/transport/share/examine/ on real folders, with faults planted in file calls.
import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Check } from "#src/base/check.ts";
import { type Clock, systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { passes } from "#tests/support/clocks/passes.ts";
import { ListedNames } from "#tests/support/listed_names.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";

const HOUR_S = 3600;

const folders: ShareFolder[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove();
});

interface Site {
  readonly root: string;
  examine(options?: { faults?: Partial<Primitives>; clock?: Clock; rememberIn?: string }): Promise<Check[]>;
  list(folder: string): string[];
}

/** A share with its two top folders, unless `made` is false. */
function openSite(made = true): Site {
  const folder = new ShareFolder();
  folders.push(folder);
  const { root } = folder;
  if (made) for (const name of ["gpu_commands", "gpu_status"]) mkdirSync(join(root, name));
  return {
    root,
    examine: async ({ faults = {}, clock = systemClock, rememberIn } = {}) => {
      const options = { create: "never", watch: "auto", clock, log: silentLog } as const;
      // By a manual clock they are done at once, also as a network's: it stands still while the disk is slow.
      const network = clock === systemClock ? poolPrimitives : localPrimitives;
      const calls = { local: { ...localPrimitives, ...faults }, network: { ...network, ...faults } };
      const remembered = rememberIn === undefined ? {} : { rememberIn };
      const transport = new ShareTransport(root, { ...options, ...remembered }, calls);
      return await Array.fromAsync(transport.examine());
    },
    list: (name) => readdirSync(join(root, name)),
  };
}

function named(checks: readonly Check[], check: string, subject: string | null = null): Check {
  const found = checks.find((each) => each.check === check && each.subject === subject);
  if (found === undefined) throw new Error(`No ${check} ${subject ?? ""} in ${JSON.stringify(checks)}`);
  return found;
}

function results(checks: readonly Check[]): string[] {
  return checks.map(({ check, subject, result }) => `${result} ${check}${subject === null ? "" : ` ${subject}`}`);
}

function systemError(code: string, path = ""): Error {
  return Object.assign(new Error(`${code}: planted`), { code, syscall: "open", path });
}

const never = async (): Promise<never> => await new Promise(() => undefined);

describe("a good share", () => {
  test("is well in every respect, and is left as it was", async () => {
    const site = openSite();
    mkdirSync(join(site.root, "gpu_commands", "gpu-1"));
    const expected = ["mount", "folder gpu_commands", "folder gpu_status", "inbox"];
    const files = ["create", "exclusive_create", "rename", "link", "clock", "space", "states", "leftovers"];
    expect(results(await site.examine())).toEqual([...expected, ...files].map((name) => `ok ${name}`));
    expect([site.list("gpu_commands").toSorted(), site.list("gpu_status")]).toEqual([[".tmp", "gpu-1"], [".tmp"]]);
    expect([site.list("gpu_commands/.tmp"), site.list("gpu_status/.tmp")]).toEqual([[], []]);
  });
});

test("no name is asked for that no listing has shown, also where something is missing", async () => {
  const site = openSite();
  for (const missing of ["none", "gpu_commands/.tmp", "gpu_status"]) {
    const listed = new ListedNames(site.root, poolPrimitives);
    if (missing !== "none") rmSync(join(site.root, missing), { recursive: true });
    const checks = await site.examine({ faults: listed.primitives });
    expect([missing, checks.length > 5, listed.offences]).toEqual([missing, true, []]);
  }
});

describe("a share that is not there", () => {
  test("is reported in one check, and nothing is made", async () => {
    const site = openSite(false);
    const checks = await site.examine();
    expect(results(checks)).toEqual(["failed mount"]);
    expect(checks[0]?.message).toMatch(/ has no folders of gpu-courier: not mounted\?$/);
    expect(checks[0]?.hint).toContain(`sudo mount ${site.root}`);
    expect(site.list(".")).toEqual([]);
  });

  test("does not exist, or is a file", async () => {
    const site = openSite(false);
    rmSync(site.root, { recursive: true });
    const [missing] = await site.examine();
    expect(missing?.message).toBe(`${site.root} does not exist: not mounted?`);
    writeFileSync(site.root, "");
    const [file] = await site.examine();
    expect(file).toMatchObject({ check: "mount", result: "failed", message: `${site.root} is not a directory` });
  });

  test("is on another kind of file system than it was, also with folders of ours", async () => {
    const site = openSite();
    const rememberIn = join(site.root, "..", "file-system");
    writeFileSync(rememberIn, "nfs\n");
    const checks = await site.examine({ rememberIn });
    expect(results(checks)).toEqual(["failed mount"]);
    expect(checks[0]?.message).toMatch(/ is on \S+, it was on nfs: not mounted\?$/);
    expect(checks[0]?.hint).toContain(rememberIn);
  });

  test("lacks one of its folders: the other one is looked at", async () => {
    const site = openSite();
    rmSync(join(site.root, "gpu_status"), { recursive: true });
    const checks = await site.examine();
    expect(named(checks, "folder", "gpu_status")).toMatchObject({ result: "failed" });
    expect(named(checks, "create").message).toStartWith("Works in gpu_commands: ");
  });
});

describe("folders", () => {
  test("a link in place of a folder is reported, and not followed", async () => {
    const site = openSite();
    const elsewhere = join(site.root, "..", "elsewhere");
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, join(site.root, "gpu_commands", ".tmp"));
    symlinkSync(elsewhere, join(site.root, "gpu_commands", "gpu-1"));
    const checks = await site.examine();
    const temporary = named(checks, "folder", "gpu_commands/.tmp");
    expect(temporary.message).toMatch(/: it is a link, owned by \d+:\d+, mode 0777$/);
    expect(temporary.hint).toBe(`Remove it: sudo rm ${join(site.root, "gpu_commands", ".tmp")}`);
    expect(named(checks, "inbox", "gpu-1").result).toBe("failed");
    expect(named(checks, "create").result).toBe("failed");
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test("one that is narrower than its parent is reported with owner, mode and the command that fixes it", async () => {
    const site = openSite();
    const commands = join(site.root, "gpu_commands");
    chmodSync(commands, 0o775);
    for (const name of ["gpu-1", "gpu-2"]) mkdirSync(join(commands, name));
    chmodSync(join(commands, "gpu-1"), 0o755);
    chmodSync(join(commands, "gpu-2"), 0o775);
    const checks = await site.examine();
    const { result, message, hint } = named(checks, "inbox", "gpu-1");
    expect(result).toBe("warning");
    expect(message).toMatch(/^Others cannot use it: owned by \d+:\d+, mode 0755; its parent is owned by .* 0775$/);
    expect(hint).toMatch(/^Give it its parent's group and mode: sudo chgrp \d+ \S+gpu-1 && sudo chmod 2775 \S+gpu-1$/);
    expect(checks.some(({ subject }) => subject === "gpu-2")).toBe(false);
  });

  test("one that is as closed as its parent is all right", async () => {
    const site = openSite();
    mkdirSync(join(site.root, "gpu_commands", "gpu-1"));
    chmodSync(join(site.root, "gpu_commands"), 0o755);
    chmodSync(join(site.root, "gpu_commands", "gpu-1"), 0o700);
    expect(named(await site.examine(), "inbox").message).toBe("Permissions OK (1)");
  });

  test("one that everybody may write in is a warning", async () => {
    const site = openSite();
    chmodSync(join(site.root, "gpu_commands"), 0o777);
    const { result, message } = named(await site.examine(), "folder", "gpu_commands");
    expect([result, message.includes("mode 0777")]).toEqual(["warning", true]);
  });

  test("an inbox of another group is a warning, where this user can make one", async () => {
    const site = openSite();
    const inbox = join(site.root, "gpu_commands", "gpu-1");
    mkdirSync(inbox);
    for (const folder of [inbox, join(site.root, "gpu_commands")]) chmodSync(folder, 0o775);
    const other = [...(process.getgroups?.() ?? []), ...(process.getuid?.() === 0 ? [65_534] : [])];
    const gid = other.find((group) => group !== process.getegid?.());
    if (gid !== undefined) chownSync(inbox, -1, gid);
    const found = (await site.examine()).find(({ check }) => check === "inbox");
    expect(found?.result).toBe(gid === undefined ? "ok" : "warning");
  });
});

describe("files", () => {
  test.each([
    ["open", "EROFS", "create", "Mount it read-write"],
    ["open", "ENOSPC", "create", "Remove files there or make it larger"],
    ["rename", "EIO", "rename", null],
    ["link", "EOPNOTSUPP", "link", "Version 1 pulls and deletes need links and will fail; everything else works"],
    ["link", "EIO", "link", null],
    ["link", "EPERM", "link", "Version 1 pulls and deletes need links and will fail; everything else works"],
  ] as const)("%s that fails with %s fails the check %s, and the report goes on", async (call, code, name, hint) => {
    const site = openSite();
    const fail = async (path: string): Promise<never> => {
      throw systemError(code, path);
    };
    const checks = await site.examine({ faults: { [call]: fail } });
    expect(named(checks, name)).toMatchObject({ result: "failed", hint });
    expect(named(checks, "space").result).toBe("ok");
    expect(named(checks, "leftovers").result).toBe("ok");
    expect(site.list("gpu_commands/.tmp")).toEqual([]);
  });

  test("an exclusive create and a link that replace a file fail", async () => {
    const site = openSite();
    const open: Primitives["open"] = async (path, flags, mode) => await poolPrimitives.open(path, flags & ~0o200, mode);
    expect(named(await site.examine({ faults: { open } }), "exclusive_create").result).toBe("failed");
    const link: Primitives["link"] = (_, path) => writeFileSync(path, "");
    const checks = await site.examine({ faults: { link } });
    expect(named(checks, "link").message).toBe("A link replaces an existing file, and the link count is 1");
    expect([site.list("gpu_commands/.tmp"), site.list("gpu_status/.tmp")]).toEqual([[], []]);
  });

  test("a link that is not counted is good enough if it replaces nothing", async () => {
    const site = openSite();
    const lstat: Primitives["lstat"] = async (path) => ({ ...(await poolPrimitives.lstat(path)), nlink: 1 });
    expect(named(await site.examine({ faults: { lstat } }), "link").result).toBe("ok");
    expect([site.list("gpu_commands/.tmp"), site.list("gpu_status/.tmp")]).toEqual([[], []]);
  });

  test.each([
    [-3_600_000, /^1 h behind the share's clock/],
    [3_600_000, /^1 h ahead of the share's clock/],
    // A file's time comes from the kernel's coarse clock, which may be some milliseconds behind.
    [-4_000, /^Clock within (39\d\d ms|4)/],
  ])("this machine's clock, off by %d ms, is compared with the share's", async (offMs, message) => {
    const clock = { ...systemClock, now: () => systemClock.now() + offMs };
    const check = named(await openSite().examine({ clock }), "clock");
    expect(check.message).toMatch(message);
    expect(check.result).toBe(Math.abs(offMs) > 5_000 ? "warning" : "ok");
  });
});

describe("leftovers", () => {
  function litter(site: Site, folder: string, count: number, ageS: number, suffix = ".json"): void {
    mkdirSync(join(site.root, folder), { recursive: true });
    const at = Date.now() / 1000 - ageS;
    for (let index = 0; index < count; index++) {
      const path = join(site.root, folder, `file-${index}${suffix}`);
      writeFileSync(path, "{}");
      utimesSync(path, at, at);
    }
  }

  test("are counted by kind, with what is still wanted left out, by the share's clock", async () => {
    const site = openSite();
    litter(site, "gpu_status", 7, 2 * HOUR_S, "_response.json");
    litter(site, "gpu_commands/gpu-1", 3, 2 * HOUR_S);
    litter(site, "gpu_commands/.tmp", 2, 2 * HOUR_S);
    litter(site, "gpu_commands/.claims", 2, HOUR_S);
    litter(site, "gpu_commands", 1, 30 * HOUR_S);
    litter(site, "gpu_status/server-1", 0, 0);
    const late = Date.now() / 1000 - 25 * HOUR_S;
    utimesSync(join(site.root, "gpu_status/server-1"), late, late);
    const clock = { ...systemClock, now: () => systemClock.now() - 9 * 3_600_000 };
    const { result, message } = named(await site.examine({ clock }), "leftovers");
    expect(result).toBe("ok");
    for (const part of [
      "version 1 commands: 1",
      "version 2 commands: 3",
      "files in .tmp: 2",
      "responses: 7",
      "reply folders: 1",
    ])
      expect(message).toContain(part);
    expect(message).not.toContain("claims");
  });

  test("many are a warning, found without looking at each", async () => {
    const site = openSite();
    litter(site, "gpu_status", 3_000, 2 * HOUR_S, "_response.json");
    let looks = 0;
    const lstat: Primitives["lstat"] = async (path) => {
      looks += 1;
      return await poolPrimitives.lstat(path);
    };
    const { result, message } = named(await site.examine({ faults: { lstat } }), "leftovers");
    expect([result, message]).toEqual(["warning", "responses: 3000"]);
    expect(looks).toBeLessThan(300);
  });
});

describe("a share that hangs", () => {
  test.each(["stat", "statfs", "readdir", "lstat", "open", "fstat", "rename", "link", "unlink"] as const)(
    "in %s ends the examination soon, and says that it is stalled",
    async (call) => {
      const site = openSite();
      for (const name of ["gpu_commands", "gpu_status"]) mkdirSync(join(site.root, name, ".tmp"));
      const clock = new ManualClock();
      let ended = false;
      const examined = site.examine({ faults: { [call]: never }, clock }).finally(() => {
        ended = true;
      });
      await passes(clock, 100, () => ended);
      expect(clock.monotonic()).toBeLessThan(35_000);
      const failed = (await examined).filter(({ result }) => result === "failed");
      expect(failed[0]?.message).toMatch(/share stalled for \d+ s/);
    },
  );
});
