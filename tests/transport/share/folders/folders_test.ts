// src/transport/share/folders: connecting to the folders, their owners and modes, and planted links and files.
import { afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "#src/base/clock.ts";
import { CourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { localPrimitives } from "#src/transport/share/calls/local.ts";
import { poolPrimitives } from "#src/transport/share/calls/network.ts";
import type { Primitives } from "#src/transport/share/calls/primitives.ts";
import { ShareTransport } from "#src/transport/share/driver.ts";
import type { Transport } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { OpenShares, type ShareFolder } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { FAST, GPU } from "#tests/transport/conformance/addresses.ts";
import { expectCode, Heard, HeardReplies } from "#tests/transport/conformance/heard.ts";

const OWN = { replyTo: "ctl-1" };
const ROOT_USER = process.getuid?.() === 0;

const opened = new OpenShares();
afterEach(async () => {
  await opened.close();
});

function handleOn(folder: ShareFolder, options: Parameters<ShareFolder["handle"]>[0] = {}): Transport {
  const handle = folder.handle(options);
  opened.keep(handle);
  return handle;
}

async function connected(folder: ShareFolder): Promise<Transport> {
  const handle = handleOn(folder);
  await handle.connect();
  return handle;
}

async function failureOf(
  action: Promise<unknown>,
): Promise<{ code: string; message: string; hint: string | undefined }> {
  const error = await action.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CourierError)) throw new Error(`no CourierError: ${String(error)}`);
  return { code: error.code, message: error.message, hint: error.hint };
}

function modeOf(path: string): string {
  return (lstatSync(path).mode & 0o7777).toString(8);
}

describe("connect()", () => {
  test("says that the share is not mounted when its folder is missing", async () => {
    const folder = opened.folder();
    rmSync(folder.root, { recursive: true });
    expect(await failureOf(handleOn(folder).connect())).toEqual({
      code: "unavailable",
      message: `${folder.root} does not exist: not mounted?`,
      hint: "Mount it, or name the shared folder with --share",
    });
  });

  test.each(["never", "network"] as const)(
    "makes nothing on a local disk, and fails with a hint, when create is %s",
    async (create) => {
      const folder = opened.folder({ create, watch: "network" });
      expect(await failureOf(handleOn(folder).connect())).toEqual({
        code: "unavailable",
        message: `${folder.root} has no gpu_commands folder. Is the share mounted?`,
        hint: `Mount it, or start ${create === "never" ? "gpu-agent " : ""}once with --init`,
      });
      mkdirSync(join(folder.root, "gpu_commands"));
      expect((await failureOf(handleOn(folder).connect())).message).toContain("has no gpu_status folder");
      expect(readdirSync(folder.root)).toEqual(["gpu_commands"]);
    },
  );

  test("makes the two folders when create is always, and uses those that are there", async () => {
    const folder = opened.folder();
    await connected(folder);
    expect(readdirSync(folder.root).toSorted()).toEqual(["gpu_commands", "gpu_status"]);
    await handleOn(folder, { create: "never" }).connect();
  });

  test("makes no folder again that went away while in use", async () => {
    const folder = opened.folder();
    const transport = await connected(folder);
    rmSync(join(folder.root, "gpu_status"), { recursive: true });
    expect(await failureOf(transport.publishState("gpu-1", "{}"))).toMatchObject({
      code: "unavailable",
      message: `${folder.root} has no gpu_status folder. Is the share mounted?`,
    });
    expect(existsSync(join(folder.root, "gpu_status"))).toBe(false);
  });

  test.each(["gpu_commands", "gpu_status"])("refuses a link or a file in place of %s", async (name) => {
    const folder = opened.folder();
    const elsewhere = join(dirname(folder.root), "elsewhere");
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, join(folder.root, name));
    const failure = await failureOf(handleOn(folder).connect());
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toStartWith(`Cannot use ${join(folder.root, name)}: it is a link, owned by`);
    expect(failure.hint).toBe(`Remove it: sudo rm ${join(folder.root, name)}`);
    rmSync(join(folder.root, name));
    writeFileSync(join(folder.root, name), "");
    expect((await failureOf(handleOn(folder).connect())).message).toContain("it is not a folder");
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  test("waits while the share is on another kind of file system than it was", async () => {
    const folder = opened.folder();
    const rememberIn = join(dirname(folder.root), "share-kind");
    writeFileSync(rememberIn, "nfs\n");
    const failure = await failureOf(handleOn(folder, { rememberIn }).connect());
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toMatch(/shared is on \w+, it was on nfs: not mounted\?$/);
    expect(failure.hint).toBe(`Mount it; if it was moved on purpose, remove ${rememberIn}`);
    expect(readdirSync(folder.root)).toEqual([]);
    rmSync(rememberIn);
    await handleOn(folder, { rememberIn }).connect();
    expect(failure.message).toContain(` on ${readFileSync(rememberIn, "utf8").trim()}, `);
    await handleOn(folder, { rememberIn }).connect();
  });

  test("remembers the kind of file system again, whole at once, when a power cut left it empty", async () => {
    const folder = opened.folder();
    const rememberIn = join(dirname(folder.root), "share-kind");
    writeFileSync(rememberIn, "");
    const empty = lstatSync(rememberIn).ino;
    await handleOn(folder, { rememberIn }).connect();
    expect(readFileSync(rememberIn, "utf8")).toMatch(/^\S+\n$/);
    expect(lstatSync(rememberIn).ino).not.toBe(empty);
    expect(readdirSync(dirname(folder.root)).toSorted()).toEqual(["share-kind", "shared"]);
  });

  test("names the kind of file system and the folder in the description", async () => {
    const folder = opened.folder();
    expect(handleOn(folder).description).toBe(`share at ${folder.root}`);
    expect((await connected(folder)).description).toMatch(/^[a-z0-9]+ at .*shared$/);
    const forced = handleOn(folder, { watch: "network" });
    await forced.connect();
    expect(forced.description).toEndWith("shared (watched as network)");
  });
});

describe("what the driver makes", () => {
  test.each([
    { share: 0o2775, umask: 0o077, folder: "2775", file: "664" },
    { share: 0o770, umask: 0o022, folder: "2770", file: "660" },
    { share: 0o755, umask: 0o000, folder: "2755", file: "644" },
  ])("takes group and modes of the share, whatever the umask: %j", async ({ share, umask, folder: mode, file }) => {
    const folder = opened.folder();
    const gid = ROOT_USER ? 12_345 : (process.getgid?.() ?? -1);
    chownSync(folder.root, process.getuid?.() ?? -1, gid);
    chmodSync(folder.root, share);
    const before = process.umask(umask);
    try {
      const transport = await connected(folder);
      await transport.openInbox(GPU);
      await HeardReplies.at(transport, OWN);
      await transport.send(GPU, "ping-1", "{}", FAST);
      await transport.respond(OWN, "ping-1", "{}", FAST);
      await transport.publishState("gpu-1", "{}");
      const heard = await Heard.at(transport, GPU);
      await until(() => heard.deliveries.length === 1);
      for (const delivery of heard.deliveries) await transport.claim(delivery, { agent: "gpu-1", instance: "i" });
    } finally {
      process.umask(before);
    }
    const made = readdirSync(folder.root, { recursive: true, encoding: "utf8" }).map((name) => join(folder.root, name));
    const isFolder = (path: string): boolean => lstatSync(path).isDirectory();
    expect(made.length).toBe(12);
    expect([...new Set(made.filter(isFolder).map(modeOf))]).toEqual([mode]);
    expect([...new Set(made.filter((path) => !isFolder(path)).map(modeOf))]).toEqual([file]);
    expect([...new Set(made.map((path) => lstatSync(path).gid))]).toEqual([gid]);
  });

  test("takes the modes of its parent after the listing: before it a network's kernel returns old ones", async () => {
    const folder = opened.folder();
    chmodSync(folder.root, 0o770);
    const listed = new Set<string>();
    const network: Primitives = {
      ...poolPrimitives,
      readdir: async (path) => {
        listed.add(path);
        return await poolPrimitives.readdir(path);
      },
      stat: async (path) => {
        const facts = await poolPrimitives.stat(path);
        return listed.has(path) ? facts : { ...facts, mode: 0o750 };
      },
    };
    const options = { create: "always", watch: "network", clock: systemClock, log: silentLog } as const;
    const transport = new ShareTransport(folder.root, options, { local: localPrimitives, network });
    opened.keep(transport);
    await transport.connect();
    const made = readdirSync(folder.root, { recursive: true, encoding: "utf8" });
    expect([made.length, ...new Set(made.map((name) => modeOf(join(folder.root, name))))]).toEqual([3, "2770"]);
  });

  test("leaves nothing in .tmp, also when publishing fails", async () => {
    const folder = opened.folder();
    const transport = await connected(folder);
    mkdirSync(join(folder.root, "gpu_commands", "list-1.json"));
    expect(await failureOf(transport.send("shared", "list-1", "{}", FAST))).toMatchObject({ code: "forbidden" });
    await transport.send("shared", "list-2", "{}", { durable: true });
    expect(readdirSync(join(folder.root, "gpu_commands", ".tmp"))).toEqual([]);
    expect(readdirSync(join(folder.root, "gpu_status", ".tmp"))).toEqual([]);
  });

  test("is never a path outside its folder when a name does not fit the grammar", async () => {
    const folder = opened.folder();
    const transport = await connected(folder);
    for (const name of ["../x", "..", "", "a/b", "a\0b", ".claims", "x".repeat(129)]) {
      await expectCode(transport.send("shared", name, "{}", FAST), "invalid");
      await expectCode(transport.send({ agent: name }, "a", "{}", FAST), "invalid");
      await expectCode(transport.openInbox({ agent: name }), "invalid");
      await expectCode(transport.respond({ replyTo: name }, "a", "{}", FAST), "invalid");
      await expectCode(transport.publishState(name, "{}"), "invalid");
      const delivery = { inbox: "shared", id: "a", key: name, content: { text: "{}" }, sentAtMs: 0 } as const;
      await expectCode(transport.claim(delivery, { agent: "gpu-1", instance: "i" }), "invalid");
    }
    expect(readdirSync(folder.root, { recursive: true }).length).toBe(3);
  });
});

describe("a reply folder", () => {
  test("shows a sign of life while it is in use, renewed each hour", async () => {
    const clock = new ManualClock();
    const folder = opened.folder({ clock });
    await HeardReplies.at(await connected(folder), OWN);
    const sign = join(folder.root, "gpu_status", "ctl-1", ".alive");
    utimesSync(sign, 1_700_000_000, 1_700_000_000);
    await clock.advance(3_500_000);
    expect(lstatSync(sign).mtimeMs).toBe(1_700_000_000_000);
    await clock.advance(200_000);
    expect(lstatSync(sign).mtimeMs).toBeGreaterThan(1_700_000_000_000);
  });

  test("is removed at close with what is ours, and stays with what is not", async () => {
    const folder = opened.folder();
    const transport = await connected(folder);
    const path = join(folder.root, "gpu_status", "ctl-1");
    const first = await HeardReplies.at(transport, OWN);
    await transport.respond(OWN, "ping-1", "{}", FAST);
    writeFileSync(join(path, `.${crypto.randomUUID()}`), "");
    await first.close();
    expect(existsSync(path)).toBe(false);
    const second = await HeardReplies.at(transport, OWN);
    writeFileSync(join(path, "notes.txt"), "mine");
    await second.close();
    expect(readdirSync(path)).toEqual(["notes.txt"]);
  });

  test("is made again by its owner, and by nobody else, when it is gone", async () => {
    const folder = opened.folder();
    const [owner, agent] = [await connected(folder), await connected(folder)];
    const path = join(folder.root, "gpu_status", "ctl-1");
    const heard = await HeardReplies.at(owner, OWN);
    await agent.respond(OWN, "ping-1", "{}", FAST);
    await until(() => heard.ids.length === 1);
    rmSync(path, { recursive: true });
    await until(() => existsSync(join(path, ".alive")));
    await agent.respond(OWN, "ping-2", "{}", FAST);
    await until(() => heard.ids.length === 2);
    expect(await agent.respond({ replyTo: "never-there" }, "ping-3", "{}", FAST)).toBe(false);
    expect(readdirSync(join(folder.root, "gpu_status")).toSorted()).toEqual([".tmp", "ctl-1"]);
  });
});

describe("a planted link", () => {
  const PLACES: readonly {
    readonly name: string;
    readonly when: string;
    readonly act: (transport: Transport) => Promise<unknown>;
  }[] = [
    {
      name: "gpu_commands/.tmp",
      when: "a command is sent",
      act: async (transport) => await transport.send("shared", "list-1", "{}", FAST),
    },
    {
      name: "gpu_status/.tmp",
      when: "a state is published",
      act: async (transport) => await transport.publishState("gpu-1", "{}"),
    },
    {
      name: "gpu_commands/gpu-1",
      when: "a command is sent to it",
      act: async (transport) => await transport.send(GPU, "ping-1", "{}", FAST),
    },
    { name: "gpu_commands/gpu-1", when: "the inbox is made", act: async (transport) => await transport.openInbox(GPU) },
    {
      name: "gpu_status/ctl-1",
      when: "an answer is published",
      act: async (transport) => await transport.respond(OWN, "ping-1", "{}", FAST),
    },
    {
      name: "gpu_status/ctl-1",
      when: "replies are awaited",
      act: async (transport) => await HeardReplies.at(transport, OWN),
    },
    {
      name: "gpu_status/ctl-1",
      when: "a reply is released",
      act: async (transport) => await transport.releaseReply(OWN, "victim"),
    },
    {
      name: "gpu_commands/gpu-1",
      when: "a command is withdrawn",
      act: async (transport) => await transport.withdraw(GPU, "victim"),
    },
    {
      name: "gpu_commands/.claims",
      when: "a claim is taken",
      act: async (transport) => {
        const delivery = {
          inbox: "shared",
          id: "a",
          key: "a~0123456789abcdef",
          content: { text: "" },
          sentAtMs: 0,
        } as const;
        return await transport.claim(delivery, { agent: "gpu-1", instance: "i" });
      },
    },
  ];

  test.each(PLACES)("in place of $name leads nowhere when $when", async ({ name, act }) => {
    const folder = opened.folder();
    const transport = await connected(folder);
    const elsewhere = join(dirname(folder.root), "elsewhere");
    mkdirSync(elsewhere);
    for (const victim of ["victim.json", "victim_response.json"]) writeFileSync(join(elsewhere, victim), "{}");
    const path = join(folder.root, name);
    rmSync(path, { recursive: true, force: true });
    symlinkSync(elsewhere, path);
    const failure = await failureOf(act(transport));
    expect(failure).toMatchObject({ code: "forbidden", hint: `Remove it: sudo rm ${path}` });
    expect(failure.message).toStartWith(`Cannot use ${path}: it is a link, owned by`);
    expect(readdirSync(elsewhere).toSorted()).toEqual(["victim.json", "victim_response.json"]);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
  });
});

describe("claim()", () => {
  const DELIVERY = {
    inbox: "shared",
    id: "a",
    key: "a~0123456789abcdef",
    content: { text: "{}" },
    sentAtMs: 0,
  } as const;
  const HOLDER = { agent: "gpu-1", instance: "i-1" };

  test("contains its holder, for agents and people to read", async () => {
    const folder = opened.folder();
    expect(await (await connected(folder)).claim(DELIVERY, HOLDER)).toBe(true);
    const claims = join(folder.root, "gpu_commands", ".claims");
    expect(readdirSync(claims)).toEqual([DELIVERY.key]);
    expect(JSON.parse(readFileSync(join(claims, DELIVERY.key), "utf8"))).toEqual(HOLDER);
  });

  test.each([
    { there: '{"agent":"gpu-9","instance":"i-1"}', mine: true },
    { there: '{"agent":"gpu-1","instance":"i-2"}', mine: false },
    { there: '{"inst', mine: false },
    { there: "null", mine: false },
  ])("is mine only when it names my instance: $there", async ({ there, mine }) => {
    const folder = opened.folder();
    const transport = await connected(folder);
    const claims = join(folder.root, "gpu_commands", ".claims");
    mkdirSync(claims);
    writeFileSync(join(claims, DELIVERY.key), there);
    expect(await transport.claim(DELIVERY, HOLDER)).toBe(mine);
    expect(readFileSync(join(claims, DELIVERY.key), "utf8")).toBe(there);
  });
});
