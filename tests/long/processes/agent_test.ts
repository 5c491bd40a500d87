// gpu-agent as a process: its share, its environment and its command line.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { ProcessSite, until } from "#tests/process/site/site.ts";

const NO_OLLAMA = "http://127.0.0.1:9";

let site: ProcessSite;
beforeEach(() => {
  site = new ProcessSite();
});
afterEach(async () => await site.close());

test("it waits with a reason and a hint while the share has no folders, writes nothing there, and starts once they exist", async () => {
  rmSync(site.share, { recursive: true });
  mkdirSync(site.share);
  const agent = site.startAgent("gpu-1", NO_OLLAMA);
  const waiting = await agent.logged("has no gpu_commands folder. Is the share mounted?");
  expect(waiting["hint"]).toBe("Mount it, or start once with --init");
  expect(site.list(".")).toEqual([]);
  for (const folder of ["gpu_commands", "gpu_status"]) mkdirSync(join(site.share, folder));
  await agent.logged("Ready");
  expect(await agent.stop()).toBe(0);
});

test("it waits while the share is missing, and exits on SIGTERM", async () => {
  rmSync(site.share, { recursive: true });
  const agent = site.startAgent("gpu-1", NO_OLLAMA);
  await agent.logged("does not exist");
  expect(await agent.stop()).toBe(0);
});

test("SIGHUP stops it as SIGTERM does: it drains, publishes stopped and exits with 0", async () => {
  const agent = await site.agent("gpu-1", NO_OLLAMA);
  expect(await agent.stop("SIGHUP")).toBe(0);
  expect(site.state("gpu-1")["status"]).toBe("stopped");
});

test("it creates the folders of a new share when started with --init", async () => {
  rmSync(site.share, { recursive: true });
  mkdirSync(site.share);
  await site.agent("gpu-1", NO_OLLAMA, ["--init"]);
  expect(site.list(".").toSorted()).toEqual(["gpu_commands", "gpu_status"]);
});

test("it survives planted files in the inboxes, and never writes through a link", async () => {
  const elsewhere = join(site.dir, "elsewhere");
  mkdirSync(elsewhere);
  mkdirSync(join(site.share, "gpu_commands/folder.json"));
  symlinkSync("/etc/passwd", join(site.share, "gpu_commands/link.json"));
  Bun.spawnSync(["mkfifo", join(site.share, "gpu_commands/fifo.json")]);
  symlinkSync(elsewhere, join(site.share, "gpu_status/planted"));
  await site.agent("gpu-1", NO_OLLAMA);
  const order = { version: 2, command: "ping", command_id: "a", timestamp: "t", agent: "gpu-1", ttl_ms: 60_000 };
  site.write("gpu_commands/gpu-1/a.json", { ...order, reply_to: "planted" });
  for (const id of ["folder", "link", "fifo"]) {
    expect(await site.document(`gpu_status/${id}_response.json`)).toMatchObject({ success: false });
  }
  expect((await site.gpuctl("ping")).status).toBe(0);
  await until(() => site.list("gpu_commands/gpu-1").length === 0, "the planted command is gone");
  expect(site.list("../elsewhere")).toEqual([]);
});

test("its hints name its machine: they are read on another one", async () => {
  await site.agent("gpu-1", NO_OLLAMA);
  const { stderr } = await site.gpuctl("show", "phi4");
  expect(stderr).toContain("gpu-1 says: On gpu-1: systemctl status ollama");
});

test("it warns once of a folder that is named like a command", async () => {
  for (const folder of ["gpu_commands/gpu-1/own.json", "gpu_commands/shared.json", "gpu_status/gpu-2_status.json"])
    mkdirSync(join(site.share, folder), { recursive: true });
  const agent = await site.agent("gpu-1", NO_OLLAMA);
  for (const id of ["own", "shared"]) await agent.logged(`"id":"${id}"`);
  expect(await site.gpuctl("ping")).toMatchObject({ status: 0 });
  expect(await agent.stop()).toBe(0);
  const lines = agent.log.split("\n").filter((line) => line.includes("folder"));
  expect(lines.map((line) => JSON.parse(line)).map(({ id, reason }) => [id, reason])).toEqual([
    ["own", "is a folder"],
    ["shared", "is a folder"],
  ]);
});

test("what agent and server keep is for their user only, also in a folder that was made by hand", async () => {
  const server = await site.server();
  const folders = [site.stateDirOf("gpu-1"), site.stateDirOfServer(server)];
  mkdirSync(folders[0] ?? "");
  await site.agent("gpu-1", NO_OLLAMA);
  const files = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
  expect(files.map((file) => basename(file))).toContain("ledger.db");
  expect(files.filter((file) => (statSync(file).mode & 0o077) !== 0)).toEqual([]);
});

test("it refuses a bad command line with a hint and status 64", async () => {
  for (const args of [
    ["--nmae", "x"],
    ["--name", "Not_A_Name"],
    ["--ollama", "ftp://x"],
    ["--list-ttl", "0"],
    ["--share", ""],
  ]) {
    const { status, stderr } = await site.run("agent.ts", [
      "--share",
      site.share,
      "--state-dir",
      join(site.dir, "s"),
      ...args,
    ]);
    expect([args.join(" "), status]).toEqual([args.join(" "), 64]);
    expect(stderr.length).toBeGreaterThan(20);
    expect(stderr).not.toContain("    at ");
  }
});

test("its help names every flag's environment variable", async () => {
  const { status, stdout } = await site.run("agent.ts", ["--help"]);
  expect(status).toBe(0);
  for (const name of [
    "SHARE",
    "NAME",
    "OLLAMA",
    "STATE_DIR",
    "SHARED_INBOX",
    "INIT",
    "LOG_LEVEL",
    "INSECURE_REGISTRY",
    "ALLOW_REGISTRY",
  ]) {
    expect(stdout).toContain(`GPU_COURIER_${name}`);
  }
});

test.each([
  [["--protect", "phi 4"], "Cannot protect"],
  [["--insecure-registry", "https://registry.example:5000"], "for example --insecure-registry registry.example:5000"],
  [["--insecure-registry", "ok:5000,registry.example/ns"], 'Cannot use "registry.example/ns" as an insecure registry'],
  [["--allow-registry", "*.example"], 'Cannot use "*.example" as an allowed registry'],
  [["--disk-reserve", "20"], "as the disk reserve"],
])("it does not start with %p, which would hold nothing", async (args, message) => {
  const agent = site.startAgent("gpu-1", NO_OLLAMA, args);
  expect(await agent.exited()).toBe(64);
  expect(agent.log).toContain(message);
});
