// gpu-agent and gpu-server as services: the notifications that systemd gets, and the lines in the journal.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ProcessSite, until } from "#tests/process/site/site.ts";
import { NotifySocket } from "#tests/support/notify_socket.ts";

const NO_OLLAMA = "http://127.0.0.1:9";
const SOURCES = join(import.meta.dir, "../../src");

let site: ProcessSite;
let systemd: NotifySocket;
let env: { readonly NOTIFY_SOCKET: string };
beforeEach(() => {
  site = new ProcessSite();
  systemd = new NotifySocket();
  env = { NOTIFY_SOCKET: systemd.path };
});
afterEach(async () => {
  await site.close();
  systemd.close();
});

test("gpu-agent notifies systemd when it is ready, of its status, that its loops are alive, and when it stops", async () => {
  const ollama = await site.ollama();
  const agent = site.startAgent("gpu-1", ollama.url, [], env);
  await systemd.received("READY=1");
  // Readers find its state by then.
  expect(site.state("gpu-1")).toMatchObject({ agent: "gpu-1", status: "running" });
  await systemd.received(/^STATUS=gpu-1 on \S+ at \S+, Ollama 0\.32\.15, no jobs running$/);
  await systemd.received("WATCHDOG=1", 10_000);
  expect(await agent.stop()).toBe(0);
  // A round that was under way may still end.
  const after = systemd.messages.slice(systemd.messages.indexOf("STOPPING=1"));
  expect(after.filter((message) => message !== "WATCHDOG=1")).toEqual([
    "STOPPING=1",
    "STATUS=draining",
    "STATUS=stopped",
  ]);
}, 20_000);

test("gpu-agent is ready without a share, reports why it waits, and stays alive meanwhile", async () => {
  rmSync(site.share, { recursive: true });
  mkdirSync(site.share);
  const agent = site.startAgent("gpu-1", NO_OLLAMA, [], env);
  await systemd.received("WATCHDOG=1");
  expect(systemd.messages.slice(0, 4)).toEqual([
    "STATUS=looking at the share",
    `STATUS=waiting for the share: ${site.share} has no gpu_commands folder. Is the share mounted?`,
    "READY=1",
    "WATCHDOG=1",
  ]);
  for (const folder of ["gpu_commands", "gpu_status"]) mkdirSync(join(site.share, folder));
  await systemd.received(/^STATUS=gpu-1 on /);
  expect(await agent.stop()).toBe(0);
});

test("gpu-server notifies systemd when it is ready, of its status, that it answers its own request, and when it stops", async () => {
  rmSync(site.share, { recursive: true });
  mkdirSync(site.share);
  const args = ["--share", site.share, "--port", "0", "--state-dir", join(site.dir, "server"), "--log-format", "json"];
  // Its own request must not go through a proxy.
  const server = site.start("server.ts", args, { ...env, HTTP_PROXY: "http://127.0.0.1:9" });
  await systemd.received("WATCHDOG=1");
  expect(systemd.messages).toEqual([
    "READY=1",
    `STATUS=waiting for the share: ${site.share} has no gpu_commands folder. Is the share mounted?`,
    "WATCHDOG=1",
  ]);
  for (const folder of ["gpu_commands", "gpu_status"]) mkdirSync(join(site.share, folder));
  await systemd.received(/^STATUS=http:\/\/127\.0\.0\.1:\d+ on \S+ at /, 15_000);
  expect(await server.stop()).toBe(0);
  expect(systemd.messages.at(-1)).toBe("STOPPING=1");
}, 30_000);

test("lines for the journal carry their priority, and text lines no time of their own", async () => {
  const agentWith = ["agent.ts", "--share", join(site.dir, "none"), "--state-dir", join(site.dir, "state")];
  const warning = { level: "warn", reason: expect.stringContaining("does not exist: not mounted?") };

  const text = await journalOf([...agentWith, "--name", "gpu-1"]);
  expect(text).toEqual([expect.stringMatching(/^<4>warn {2}Share unavailable; retrying reason=/)]);

  const [json = ""] = await journalOf([...agentWith, "--name", "gpu-1", "--log-format", "json"]);
  expect(json).toStartWith("<4>{");
  expect(JSON.parse(json.slice("<4>".length))).toMatchObject(warning);

  expect(await journalOf([...agentWith, "--name", "GPU_1"])).toEqual([
    expect.stringMatching(/^<3>error: .*GPU_1/),
    expect.stringMatching(/^<3> {2}/),
  ]);
  expect(await journalOf([...agentWith, "--flag"])).toContain("<3>error: unknown option '--flag'");
});

/** The lines a program writes to a stderr that JOURNAL_STREAM names, until it exits or waits for its share. */
async function journalOf([script = "", ...args]: readonly string[]): Promise<string[]> {
  const path = join(site.dir, "journal");
  const file = openSync(path, "w");
  try {
    const { dev, ino } = fstatSync(file, { bigint: true });
    const child = Bun.spawn([process.execPath, join(SOURCES, script), ...args], {
      env: { ...process.env, JOURNAL_STREAM: `${dev}:${ino}` },
      stdio: ["ignore", "ignore", file],
    });
    const written = (): string => readFileSync(path, "utf8");
    await until(() => child.exitCode !== null || written().includes("Share unavailable"), "it has written something");
    child.kill("SIGTERM");
    await child.exited;
    return written().trimEnd().split("\n");
  } finally {
    closeSync(file);
  }
}
