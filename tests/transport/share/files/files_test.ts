// src/transport/share: files in the folders, complete, half-written, foreign or hostile, in both ways of watching.
import { afterEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { LIMITS } from "#src/protocol.ts";
import type { Transport } from "#src/transport.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { OpenShares, type ShareFolder } from "#tests/support/sites/share_folder.ts";
import { until } from "#tests/support/until.ts";
import { FAST, GPU } from "#tests/transport/conformance/addresses.ts";
import { Heard, HeardReplies } from "#tests/transport/conformance/heard.ts";

const opened = new OpenShares();
afterEach(async () => {
  await opened.close();
});

async function openShare(
  options: ConstructorParameters<typeof ShareFolder>[0],
): Promise<{ folder: ShareFolder; transport: Transport; path: (...names: string[]) => string }> {
  const folder = opened.folder(options);
  const transport = folder.handle();
  opened.keep(transport);
  await transport.connect();
  await transport.openInbox(GPU);
  return { folder, transport, path: (...names) => join(folder.root, ...names) };
}

/** Sends a command and waits for it: by then the watch has looked at all earlier files. */
async function passBy(transport: Transport, heard: Heard, id: string): Promise<void> {
  await transport.send("shared", id, "{}", FAST);
  await until(() => heard.ids.includes(id));
}

describe.each([{ watch: "local" }, { watch: "network" }] as const)("share, %j", (options) => {
  test("publishState() replaces an empty folder that is in the document's place, and no other", async () => {
    const { transport, path } = await openShare(options);
    mkdirSync(path("gpu_status", "gpu-1_status.json"));
    await transport.publishState("gpu-1", '{"sequence":1}');
    expect((await transport.readState("gpu-1"))?.content).toEqual({ text: '{"sequence":1}' });
    mkdirSync(path("gpu_status", "gpu-2_status.json", "kept"), { recursive: true });
    const refused = transport.publishState("gpu-2", "{}");
    expect(refused).rejects.toMatchObject({ code: "forbidden", message: expect.stringContaining("EISDIR") });
    await refused.catch(() => undefined);
    expect(readdirSync(path("gpu_status", "gpu-2_status.json"))).toEqual(["kept"]);
    expect(readdirSync(path("gpu_status", ".tmp"))).toEqual([]);
  });

  test("receive() delivers a command once, when it is complete, when it is written in pieces", async () => {
    const { transport, path } = await openShare(options);
    const heard = await Heard.at(transport, "shared");
    writeFileSync(path("gpu_commands", "list-1.json"), "");
    await passBy(transport, heard, "marker-1");
    appendFileSync(path("gpu_commands", "list-1.json"), '{"command": "list_mo');
    await passBy(transport, heard, "marker-2");
    expect(heard.ids).toEqual(["marker-1", "marker-2"]);
    appendFileSync(path("gpu_commands", "list-1.json"), 'dels"}');
    await until(() => heard.ids.includes("list-1"));
    await passBy(transport, heard, "marker-3");
    expect(heard.ids).toEqual(["marker-1", "marker-2", "list-1", "marker-3"]);
    expect(heard.deliveries[2]?.content).toEqual({ text: '{"command": "list_models"}' });
  });

  test("receive() delivers a name again when it is rewritten in place, and when its time changes, but not otherwise", async () => {
    const { transport, path } = await openShare(options);
    const heard = await Heard.at(transport, "shared");
    const file = path("gpu_commands", "test_command.json");
    writeFileSync(file, '{"n":1}');
    await until(() => heard.ids.length === 1);
    writeFileSync(file, '{"n":22}');
    await until(() => heard.ids.length === 2);
    utimesSync(file, 1_700_000_000, 1_700_000_000);
    await until(() => heard.ids.length === 3);
    chmodSync(file, 0o640);
    await passBy(transport, heard, "marker-1");
    expect(heard.deliveries.map(({ content }) => content)).toEqual([
      { text: '{"n":1}' },
      { text: '{"n":22}' },
      { text: '{"n":22}' },
      { text: "{}" },
    ]);
    expect(heard.deliveries[2]?.sentAtMs).toBe(1_700_000_000_000);
  });

  test("receive() refuses, under its id, what is no readable command file, and does not wait for it", async () => {
    const { transport, path } = await openShare(options);
    writeFileSync(path("secret"), '{"command":"list_models"}');
    symlinkSync(path("secret"), path("gpu_commands", "link.json"));
    symlinkSync(path("nowhere"), path("gpu_commands", "dangling.json"));
    mkdirSync(path("gpu_commands", "folder.json"));
    execFileSync("mkfifo", [path("gpu_commands", "fifo.json")]);
    writeFileSync(path("gpu_commands", "large.json"), Buffer.alloc(10_000_000, " "));
    writeFileSync(path("gpu_commands", "over.json"), `"${"x".repeat(LIMITS.commandBytes - 1)}"`);
    writeFileSync(path("gpu_commands", "fits.json"), `"${"x".repeat(LIMITS.commandBytes - 2)}"`);
    const server = createServer().listen(path("gpu_commands", "socket.json"));
    await until(() => server.listening);
    const heard = await Heard.at(transport, "shared");
    try {
      await until(() => heard.ids.length === 8);
    } finally {
      server.close();
    }
    const found = heard.deliveries.map(({ id, content }) => [id, "refused" in content ? content.refused : "text"]);
    expect(Object.fromEntries(found)).toEqual({
      link: "is a link",
      dangling: "is a link",
      folder: "is a folder",
      fifo: "is not a regular file",
      socket: "is not a regular file",
      large: "is larger than 65536 bytes",
      over: "is larger than 65536 bytes",
      fits: "text",
    });
    expect(heard.deliveries.every(({ key, id }) => new RegExp(`^${id}~[0-9a-f]{16}$`).test(key))).toBe(true);
  });

  test("receive() reports a stray name once, but no dot names and agents' inboxes", async () => {
    const { transport, path } = await openShare(options);
    for (const name of ["Bad Name.json", "-dash.json", "notes.txt", ".hidden.json", ".nfs0001", "plain"]) {
      writeFileSync(path("gpu_commands", name), "{}");
    }
    mkdirSync(path("gpu_commands", "No_Agent"));
    const heard = await Heard.at(transport, "shared");
    await until(() => heard.refused.length === 5);
    writeFileSync(path("gpu_commands", "late.txt"), "{}");
    await until(() => heard.refused.length === 6);
    expect(heard.refused.toSorted()).toEqual([
      "-dash.json: its name is not a valid id",
      "Bad Name.json: its name is not a valid id",
      "No_Agent: its name does not end in .json",
      "late.txt: its name does not end in .json",
      "notes.txt: its name does not end in .json",
      "plain: its name does not end in .json",
    ]);
    expect(heard.ids).toEqual([]);
  });

  test("receive() delivers thousands of present commands, each once and the oldest first", async () => {
    const { transport, path } = await openShare(options);
    // In network mode each takes six calls through the file pool.
    const count = options.watch === "local" ? 5_000 : 1_000;
    const file = (index: number): string => path("gpu_commands", "gpu-1", `left-${index}.json`);
    for (let index = 0; index < count; index++) {
      // New names for one file: making thousands of files takes some disks seconds.
      if (index > 10) linkSync(file(10), file(index));
      else writeFileSync(file(index), "{}");
      if (index < 10) utimesSync(file(index), 1_700_000_000 - index, 1_700_000_000 - index);
    }
    const heard = await Heard.at(transport, GPU);
    await until(() => heard.ids.length >= count, 15_000);
    await transport.send(GPU, "marker", "{}", FAST);
    await until(() => heard.ids.includes("marker"));
    expect(new Set(heard.ids).size).toBe(count + 1);
    expect(heard.ids.length).toBe(count + 1);
    expect(heard.ids.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, index) => `left-${9 - index}`));
  });

  test("receive() goes on when the folder that it watches is replaced, or removed", async () => {
    const { folder, transport, path } = await openShare(options);
    const other = folder.handle();
    opened.keep(other);
    await other.connect();
    const heard = [await Heard.at(transport, GPU), await Heard.at(other, GPU)];
    const exchange = async (id: string): Promise<void> => {
      await transport.openInbox(GPU);
      await transport.send(GPU, id, "{}", FAST);
      await until(() => heard.every(({ ids }) => ids.includes(id)));
    };
    await exchange("ping-1");
    renameSync(path("gpu_commands", "gpu-1"), path("gone"));
    await exchange("ping-2");
    await exchange("ping-3");
    rmSync(path("gpu_commands", "gpu-1"), { recursive: true });
    await exchange("ping-4");
    await exchange("ping-5");
    expect(heard.flatMap(({ interruptions }) => interruptions)).toEqual([]);
  });

  test("openReplies() delivers a response that a legacy service writes in place when it is complete", async () => {
    const { transport, path } = await openShare(options);
    const heard = await HeardReplies.at(transport, "shared", (id) => id.startsWith("list"));
    writeFileSync(path("gpu_status", "list-1_response.json"), '{"success": true, "mod');
    writeFileSync(path("gpu_status", "list-2_response.json"), "{}");
    await until(() => heard.ids.includes("list-2"));
    appendFileSync(path("gpu_status", "list-1_response.json"), 'els": []}');
    await until(() => heard.ids.length === 2);
    expect(heard.replies[1]).toEqual({ id: "list-1", content: { text: '{"success": true, "models": []}' } });
  });

  test("readStates() returns the documents of legacy services, refuses large ones, and ignores everything else", async () => {
    const { transport, path } = await openShare(options);
    writeFileSync(path("gpu_status", "gpu_status.json"), '{"status": "running"}');
    writeFileSync(path("gpu_status", "big_status.json"), Buffer.alloc(LIMITS.stateBytes + 1));
    for (const name of ["_status.json", "UP_status.json", "list-1_response.json", ".x_status.json"]) {
      writeFileSync(path("gpu_status", name), "{}");
    }
    const records = await transport.readStates();
    expect(records.map(({ agent, content }) => ({ agent, content }))).toEqual([
      { agent: "big", content: { refused: "is larger than 262144 bytes" } },
      { agent: "gpu", content: { text: '{"status": "running"}' } },
    ]);
  });

  test("receive() refuses a half-written command after 5 s without change, an empty one after 60 s", async () => {
    const clock = new ManualClock();
    const { transport, path } = await openShare({ ...options, clock });
    writeFileSync(path("gpu_commands", "half.json"), '{"command": "list_mo');
    writeFileSync(path("gpu_commands", "empty.json"), "");
    const heard = await Heard.at(transport, "shared");
    const elapsed = async (ms: number, count: number): Promise<void> => {
      const endsAtMs = clock.monotonic() + ms;
      while (clock.monotonic() < endsAtMs) {
        await clock.advance(Math.min(500, endsAtMs - clock.monotonic()));
        // A scan's calls and these take turns at one gate: when these are through, so is the scan.
        for (let turn = 0; turn < 8; turn++) await transport.readStates();
      }
      expect(heard.ids.length).toBe(count);
    };
    await elapsed(4_000, 0);
    await elapsed(3_000, 1);
    expect(heard.deliveries[0]).toMatchObject({
      id: "half",
      content: { refused: "is not complete JSON, unchanged for 5 s" },
    });
    await elapsed(50_000, 1);
    await elapsed(5_000, 2);
    expect(heard.deliveries[1]).toMatchObject({ id: "empty", content: { refused: "is empty, unchanged for 60 s" } });
  });
});
