// src/transport/share/messages/forget.ts: what it leaves alone on a real folder.
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { failure } from "#tests/support/failure.ts";
import { ShareFolder } from "#tests/support/sites/share_folder.ts";

const folders: ShareFolder[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove();
});

async function silentAgent() {
  const folder = new ShareFolder({ watch: "local" });
  folders.push(folder);
  const transport = folder.handle();
  await transport.connect();
  await transport.publishState("gpu-1", "{}");
  const inbox = join(folder.root, "gpu_commands/gpu-1");
  const publishedAtMs = (await transport.readState("gpu-1"))?.publishedAtMs ?? Number.NaN;
  return { folder, transport, inbox, publishedAtMs };
}

test("forget() keeps the document and what is not a command when the inbox has more, and works once it is removed", async () => {
  const { transport, inbox, publishedAtMs } = await silentAgent();
  await transport.openInbox({ agent: "gpu-1" });
  mkdirSync(join(inbox, "folder.json"));
  writeFileSync(join(inbox, "notes.txt"), "");
  await transport.send({ agent: "gpu-1" }, "an-id", "{}", { durable: false });
  expect(await failure(transport.forget("gpu-1", publishedAtMs))).toMatchObject({ code: "conflict" });
  expect(readdirSync(inbox).toSorted()).toEqual(["folder.json", "notes.txt"]);
  expect(await transport.readState("gpu-1")).not.toBeNull();
  for (const name of readdirSync(inbox)) await Bun.$`rm -r ${join(inbox, name)}`.quiet();
  expect(await transport.forget("gpu-1", publishedAtMs)).toEqual({ commands: 0 });
  expect(existsSync(inbox)).toBe(false);
});

test("forget() does not follow a link in place of the inbox, nor one in it", async () => {
  const { folder, transport, inbox, publishedAtMs } = await silentAgent();
  const elsewhere = join(folder.root, "elsewhere");
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, "precious.json"), "{}");
  symlinkSync(elsewhere, inbox);
  expect(await failure(transport.forget("gpu-1", publishedAtMs))).toMatchObject({ code: "forbidden" });
  expect(readdirSync(elsewhere)).toEqual(["precious.json"]);
  await Bun.$`rm ${inbox}`.quiet();
  mkdirSync(inbox);
  symlinkSync(join(elsewhere, "precious.json"), join(inbox, "link.json"));
  expect(await transport.forget("gpu-1", publishedAtMs)).toEqual({ commands: 1 });
  expect([existsSync(inbox), readdirSync(elsewhere)]).toEqual([false, ["precious.json"]]);
});

test("forget() removes a state whose agent never had an inbox", async () => {
  const { transport, publishedAtMs } = await silentAgent();
  expect(await transport.forget("gpu-1", publishedAtMs)).toEqual({ commands: 0 });
  expect(await transport.readState("gpu-1")).toBeNull();
});
