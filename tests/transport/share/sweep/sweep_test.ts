// src/transport/share/sweep: the files that a sweep keeps, the calls it makes, and the size of one round.
import { afterEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import { pathByName } from "#tests/support/listed_names.ts";
import { OpenShares } from "#tests/support/sites/share_folder.ts";
import { expectCode } from "#tests/transport/conformance/heard.ts";
import { sweepThrough } from "#tests/transport/conformance/sweeps.ts";

const HOUR_S = 3600;
const TEMPORARY = "0b0e6d5c-6a1e-4f0e-9d55-2f4a4a3c9a10";

const opened = new OpenShares();
afterEach(async () => {
  await opened.close();
});

async function openShare(watch: "local" | "network", calls: Partial<Primitives> = {}, clock = systemClock) {
  const folder = opened.folder();
  const table = { local: { ...localPrimitives, ...calls }, network: { ...poolPrimitives, ...calls } };
  const transport = new ShareTransport(folder.root, { create: "always", watch, clock, log: silentLog }, table);
  opened.keep(transport);
  await transport.connect();
  const path = (name: string): string => join(folder.root, name);
  const write = (name: string, hours: number, text = "{}"): void => {
    mkdirSync(join(path(name), ".."), { recursive: true });
    writeFileSync(path(name), text);
    makeOld(path(name), hours);
  };
  return { transport, root: folder.root, path, write };
}

function makeOld(path: string, hours: number): void {
  const seconds = Date.now() / 1000 - hours * HOUR_S;
  utimesSync(path, seconds, seconds);
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: planted`), { code });
}

describe.each(["local", "network"] as const)("share, %s", (watch) => {
  test("sweep() keeps files with foreign names, and everything that is not a regular file", async () => {
    const { transport, path, write } = await openShare(watch);
    write("outside/list-1_response.json", 1000);
    const foreign = [
      "gpu_status/notes.txt",
      `gpu_status/${TEMPORARY}`,
      "gpu_status/-odd_response.json",
      "gpu_status/.nfs000000001_response.json",
      "gpu_status/.tmp/notes",
      "gpu_status/UPPER/list-1_response.json",
      "gpu_status/.hidden/list-1_response.json",
      "gpu_commands/README",
      "gpu_commands/list 1.json",
      "gpu_commands/.claims/pull-1",
      "gpu_commands/gpu-1/notes.json.bak",
      "gpu_commands/gpu-1/deeper/ping-1.json",
    ];
    for (const name of foreign) write(name, 1000);
    mkdirSync(path("gpu_status/folder_response.json"));
    symlinkSync(path("outside/list-1_response.json"), path("gpu_status/link_response.json"));
    symlinkSync(path("outside"), path("gpu_status/ctl-link"));
    symlinkSync(path("outside"), path("gpu_commands/gpu-link"));
    makeOld(path("gpu_status/folder_response.json"), 1000);
    for (const name of ["gpu_status/link_response.json", "gpu_status/ctl-link", "gpu_commands/gpu-link"])
      lutimesSync(path(name), 0, 0);
    expect(await sweepThrough(transport, "everything")).toEqual({});
    const left = [...foreign, "outside/list-1_response.json", "gpu_status/link_response.json"];
    for (const name of left) expect(existsSync(path(name))).toBe(true);
  });

  test("sweep() removes files that were never published when an hour old", async () => {
    const { transport, path, write } = await openShare(watch);
    for (const top of ["gpu_commands", "gpu_status"]) {
      write(`${top}/.tmp/${TEMPORARY}`, 1.1);
      write(`${top}/.tmp/${TEMPORARY.replace("0b", "1b")}`, 0.9);
    }
    for (const folder of ["gpu_commands", "gpu_commands/gpu-1", "gpu_status", "gpu_status/ctl-1"])
      write(`${folder}/.${TEMPORARY}`, 1.1);
    write(`gpu_status/.${TEMPORARY.replace("0b", "1b")}`, 0.9);
    expect(await sweepThrough(transport, "everything")).toEqual({ unfinished: 6 });
    expect(existsSync(path(`gpu_status/.${TEMPORARY.replace("0b", "1b")}`))).toBe(true);
    expect(existsSync(path(`gpu_status/.tmp/${TEMPORARY}`))).toBe(false);
  });

  test("sweep() removes a reply folder by its own age when it holds no sign of life, and none with a foreign file", async () => {
    const { transport, path, write } = await openShare(watch);
    mkdirSync(path("gpu_status/ctl-empty"));
    write("gpu_status/ctl-full/ping-1_response.json", 30);
    write("gpu_status/ctl-foreign/notes.txt", 30);
    write("gpu_status/ctl-foreign/.alive", 30);
    write("gpu_status/ctl-alive/.alive", 1);
    mkdirSync(path("gpu_status/ctl-young"));
    for (const name of ["ctl-empty", "ctl-full", "ctl-foreign", "ctl-alive"]) makeOld(path(`gpu_status/${name}`), 30);
    expect(await sweepThrough(transport, "everything")).toEqual({ responses: 1, addresses: 2 });
    const left = readdirSync(path("gpu_status")).filter((name) => name.startsWith("ctl-"));
    expect(left.toSorted()).toEqual(["ctl-alive", "ctl-foreign", "ctl-young"]);
    expect(existsSync(path("gpu_status/ctl-foreign/.alive"))).toBe(true);
  });

  test("sweep() throws when a folder may not be swept, once, and goes on behind it", async () => {
    const { transport, path, write } = await openShare(watch, {
      unlink: (name) => {
        if (basename(dirname(pathByName(name))) === "gpu_status") throw systemError("EACCES");
        return localPrimitives.unlink(name);
      },
    });
    for (const id of ["a", "b"]) write(`gpu_status/${id}_response.json`, 2);
    write("gpu_commands/list-1.json", 2);
    await expectCode(transport.sweep("everything"), "forbidden");
    expect(await sweepThrough(transport, "everything")).toEqual({ commands: 1 });
    await expectCode(transport.sweep("everything"), "forbidden");
    expect(existsSync(path("gpu_status/a_response.json"))).toBe(true);
  });

  test.each(["EPERM", "EIO"])("sweep() goes on behind a file that may not go (%s), and throws once", async (code) => {
    const kept = [
      "gpu_status/kept_response.json",
      "gpu_commands/gpu-1/kept.json",
      "gpu_status/ctl-1/kept_response.json",
    ];
    const { transport, path, write } = await openShare(watch, {
      unlink: (name) => {
        if (basename(name).startsWith("kept")) throw systemError(code);
        return localPrimitives.unlink(name);
      },
    });
    const others = kept.flatMap((name) => ["a", "z"].map((id) => name.replace("kept", id)));
    for (const name of [...kept, ...others]) write(name, 30);
    write("gpu_status/ctl-1/.alive", 30);
    const thrown = code === "EIO" ? "unavailable" : "forbidden";
    for (const _ of kept) await expectCode(transport.sweep("everything"), thrown);
    expect(await sweepThrough(transport, "everything")).toEqual({ commands: 2, responses: 4 });
    expect(kept.filter((name) => !existsSync(path(name)))).toEqual([]);
    expect(others.filter((name) => existsSync(path(name)))).toEqual([]);
  });

  test("sweep() looks at a bounded number of names in one round, with turns of the event loop in between", async () => {
    let looks = 0;
    const { transport, write } = await openShare(watch, {
      lstat: (name) => {
        if (name.endsWith("_response.json")) looks += 1;
        return localPrimitives.lstat(name);
      },
    });
    for (let made = 0; made < 500; made++) write(`gpu_status/list-${made}_response.json`, 2);
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    let mostLooks = 0;
    for (let more = true; more; ) {
      looks = 0;
      ({ more } = await transport.sweep("everything"));
      mostLooks = Math.max(mostLooks, looks);
    }
    isOver = true;
    expect(mostLooks).toBeWithin(1, 65);
    expect(turns).toBeGreaterThan(10);
  });
});

test("sweep() asks the server again before it removes: what a network's kernel remembers of a file may be old", async () => {
  const { transport, path, write } = await openShare("network", {
    lstat: async (name) => {
      const facts = await poolPrimitives.lstat(name);
      return name.endsWith(".json") ? { ...facts, mtimeNs: facts.mtimeNs - 7_200_000_000_000n } : facts;
    },
  });
  write("gpu_commands/list-1.json", 0, '{"command":"list_models"}');
  write("gpu_status/list-1_response.json", 0);
  expect(await sweepThrough(transport, "everything")).toEqual({});
  expect(existsSync(path("gpu_commands/list-1.json"))).toBe(true);
});

test("sweep() lists again when it takes long, and asks for no name that is gone", async () => {
  let aheadMs = 0;
  const asked: string[] = [];
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMs };
  const lstat: Primitives["lstat"] = async (name) => {
    if (name.endsWith("_response.json")) asked.push(name);
    return await poolPrimitives.lstat(name);
  };
  const { transport, path, write } = await openShare("network", { lstat }, clock);
  for (let made = 0; made < 200; made++) write(`gpu_status/list-${made}_response.json`, 2);
  expect(await transport.sweep("everything")).toMatchObject({ more: true });
  for (const name of readdirSync(path("gpu_status")).filter((each) => each.endsWith("_response.json")))
    rmSync(path(`gpu_status/${name}`));
  write("gpu_status/list-last_response.json", 2);
  aheadMs = 5_000;
  asked.length = 0;
  await sweepThrough(transport, "everything");
  expect(asked).toEqual([]);
  expect(await sweepThrough(transport, "everything")).toEqual({ responses: 1 });
});
