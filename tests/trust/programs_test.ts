// `gpuctl key`, `gpu-server key` and `gpu-agent key`.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readKey } from "#src/trust/key_file.ts";
import { parseTrustedKeys } from "#src/trust/trusted_keys.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "key-programs-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("gpuctl key creates a key once, and prints the line for the boxes", async () => {
  const site = new ClientSite();
  const keyFile = join(dir, "config", "signing.key");
  const first = await site.run(["key"], { keyFile });
  const [key] = parseTrustedKeys(first.stdout).values();
  expect(first).toMatchObject({ status: 0, stderr: "" });
  expect(key).toMatchObject({ id: readKey(keyFile)?.id, comment: "test@here" });
  expect(statSync(keyFile).mode & 0o777).toBe(0o600);
  const again = await site.run(["key", "--json"], { keyFile });
  expect(JSON.parse(again.stdout)).toEqual({ id: key?.id, line: first.stdout.trim() });
});

test("gpuctl refuses to sign with a key that other users may read", async () => {
  const site = new ClientSite();
  const keyFile = join(dir, "signing.key");
  await site.run(["key"], { keyFile });
  chmodSync(keyFile, 0o644);
  const { status, stderr } = await site.run(["agents"], { keyFile });
  expect([status, stderr.includes(`chmod 600 ${keyFile}`)]).toEqual([77, true]);
});

test("gpu-server key prints the same line each time, and the first time that a running server needs a restart", async () => {
  const server = join(import.meta.dir, "../../src/server.ts");
  const run = () => Bun.spawnSync([process.execPath, server, "--state-dir", dir, "key"]);
  const [first, again] = [run(), run()];
  const line = first.stdout.toString();
  const [key] = parseTrustedKeys(line).values();
  expect(again.stdout.toString()).toBe(line);
  expect([key?.id, key?.comment.startsWith("server@")]).toEqual([readKey(join(dir, "signing.key"))?.id, true]);
  expect([first.stderr.toString(), again.stderr.toString()]).toEqual([expect.stringContaining("after a restart"), ""]);
});

test("gpu-agent key prints the same line each time, with the agent's name", async () => {
  const agent = join(import.meta.dir, "../../src/agent.ts");
  const command = [process.execPath, agent, "--state-dir", dir, "--name", "gpu-1", "key"];
  const run = (): string => Bun.spawnSync(command).stdout.toString();
  const line = run();
  const [key] = parseTrustedKeys(line).values();
  expect(run()).toBe(line);
  expect([key?.id, key?.comment]).toEqual([readKey(join(dir, "signing.key"))?.id, "gpu-1"]);
});
