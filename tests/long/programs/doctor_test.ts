// gpuctl doctor and gpu-agent doctor as processes, on real folders.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Check } from "#src/base/check.ts";
import { DoctorDocument } from "#src/documents/doctor.ts";
import { type Finished, ProcessSite, until } from "#tests/process/site/site.ts";

const NO_OLLAMA = "http://127.0.0.1:9";
const CLIENT = join(import.meta.dir, "../../../src/client.ts");

let site: ProcessSite;
beforeEach(() => {
  site = new ProcessSite();
});
afterEach(async () => await site.close());

async function agentDoctor(name: string, ollama: string, ...args: readonly string[]): Promise<Finished> {
  const state = ["--state-dir", join(site.dir, `agent-${name}`), "--name", name, "--ollama", ollama];
  return await site.run("agent.ts", ["doctor", "--share", site.share, ...state, ...args]);
}

function checksOf({ stdout }: Finished): Check[] {
  return DoctorDocument.parse(JSON.parse(stdout)).checks;
}

function named(finished: Finished, name: string): Check {
  return checksOf(finished).find(({ check }) => check === name) ?? expect.unreachable(`No ${name}: ${finished.stdout}`);
}

/** Every path on the share, except the folders that files are written in before they are published. */
function published(): string[] {
  const names = readdirSync(site.share, { recursive: true, encoding: "utf8" });
  return names.filter((name) => !`${name}/`.includes("/.tmp/")).toSorted();
}

describe("gpu-agent doctor", () => {
  test("next to a running agent finds no fault, and leaves share and state directory unchanged", async () => {
    const ollama = await site.ollama();
    await site.agent("gpu-1", ollama.url);
    await until(() => site.state("gpu-1")["serves_shared_inbox"] === true, "it serves the shared inbox");
    await until(() => site.state("gpu-1")["ollama_available"] === true, "it has asked Ollama");
    const before = [published(), readdirSync(join(site.dir, "agent-gpu-1")).toSorted()];
    const finished = await agentDoctor("gpu-1", ollama.url, "--ollama-models", site.dir, "--json");
    expect([finished.status, finished.stderr]).toEqual([0, ""]);
    // The agent removes the ping once it is answered.
    await until(() => Bun.deepEquals(published(), before[0]), "the share is as it was");
    expect(readdirSync(join(site.dir, "agent-gpu-1")).toSorted()).toEqual(before[1] ?? []);
    expect(checksOf(finished).filter(({ result }) => result === "failed")).toEqual([]);
    expect(named(finished, "ledger").message).toEndWith("ledger.db is in use by a running agent");
    expect(named(finished, "ollama").message).toMatch(/^Ollama 0\.\d+\.\d+ responds, with \d+ models?$/);
    expect(named(finished, "ping")).toMatchObject({ subject: "gpu-1", result: "ok" });
    expect(named(finished, "shared_inbox").message).toBe("gpu-1 serves it");
  });

  test("fails for a key that other users may read, with which the agent would not start", async () => {
    const ollama = await site.ollama();
    await (await site.agent("gpu-1", ollama.url)).stop();
    expect(named(await agentDoctor("gpu-1", ollama.url, "--json"), "own_key").message).toMatch(
      /with the key [0-9a-f]{16}$/,
    );
    const key = join(site.stateDirOf("gpu-1"), "signing.key");
    chmodSync(key, 0o644);
    const found = named(await agentDoctor("gpu-1", ollama.url, "--json"), "own_key");
    expect([found.result, found.hint]).toEqual(["failed", expect.stringContaining(`chmod 600 ${key}`)]);
    const agent = site.startAgent("gpu-1", ollama.url);
    expect([await agent.exited(), agent.log.includes(`chmod 600 ${key}`)]).toEqual([77, true]);
  });

  test("before the first start creates nothing, and reports that Ollama is unreachable", async () => {
    const finished = await agentDoctor("gpu-1", NO_OLLAMA);
    expect([finished.status, finished.stderr]).toEqual([1, ""]);
    expect(finished.stdout).toContain(`✓ state_dir: ${site.dir}/agent-gpu-1 will be created at the first start\n`);
    expect(finished.stdout).toMatch(
      /^✗ ollama: Cannot ask for the version: Ollama does not answer \(connection refused\)\n {4}On this machine: systemctl status ollama/m,
    );
    expect(existsSync(join(site.dir, "agent-gpu-1"))).toBe(false);
    expect(published()).toEqual(["gpu_commands", "gpu_status"]);
  });

  test("reports trusted keys that cannot be used, with the line", async () => {
    const keys = join(site.dir, "trusted_keys");
    writeFileSync(keys, "# The platform\nssh-ed25519 AAAA\n");
    const finished = await agentDoctor("gpu-1", NO_OLLAMA, "--trusted-keys", keys, "--json");
    expect(named(finished, "trusted_keys")).toMatchObject({
      result: "failed",
      message: `Cannot use the trusted keys in ${keys}: line 2: it does not begin with ed25519`,
    });
  });

  test("warns where pulls may use any registry, and names those that they may use", async () => {
    const listed = await agentDoctor("gpu-1", NO_OLLAMA, "--json", "--insecure-registry", "registry.example:5000");
    expect(named(listed, "registries")).toMatchObject({
      result: "ok",
      message: "Pulls may use registry.ollama.ai, hf.co, huggingface.co, registry.example:5000",
    });
    const any = await agentDoctor("gpu-1", NO_OLLAMA, "--json", "--allow-registry", "*");
    expect(named(any, "registries")).toMatchObject({
      result: "warning",
      hint: "Name the registries with --allow-registry instead of *",
    });
  });

  test("reports a damaged ledger and an invalid name", async () => {
    mkdirSync(join(site.dir, "agent-No"));
    writeFileSync(join(site.dir, "agent-No", "ledger.db"), "no database, ".repeat(1_000));
    const finished = await agentDoctor("No", NO_OLLAMA, "--json");
    expect(named(finished, "name")).toMatchObject({
      result: "failed",
      message: 'Cannot use "No" as the agent\'s name',
    });
    expect(named(finished, "ledger")).toMatchObject({ result: "failed" });
    expect(named(finished, "ledger").message).toContain("ledger.db is corrupt: SQLITE_NOTADB");
  });

  test("reports that a corrupt ledger was set aside, and no fault after a restart", async () => {
    const dir = join(site.dir, "agent-gpu-1");
    mkdirSync(dir);
    writeFileSync(join(dir, "ledger.db"), "no database, ".repeat(1_000));
    const first = await site.agent("gpu-1", NO_OLLAMA);
    const finished = await agentDoctor("gpu-1", NO_OLLAMA, "--json");
    expect(named(finished, "ledger").message).toContain("set aside as");
    expect(named(finished, "agent")).toMatchObject({ result: "failed", hint: "On gpu-1: gpu-agent doctor" });
    expect(await first.stop()).toBe(0);
    // On a real share the clock has fractions.
    const next = await site.agent("gpu-1", NO_OLLAMA);
    expect(named(await agentDoctor("gpu-1", NO_OLLAMA, "--json"), "ledger").result).toBe("ok");
    await until(() => site.state("gpu-1")["status"] === "running", "it serves changing verbs");
    expect(next.log).not.toContain("Only reading verbs");
  });

  test("reports that the share is on another file system than before", async () => {
    mkdirSync(join(site.dir, "agent-gpu-1"));
    writeFileSync(join(site.dir, "agent-gpu-1", "file-system"), "nfs\n");
    const { status, stdout } = await agentDoctor("gpu-1", NO_OLLAMA);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^✗ mount: \S+ is on \S+, it was on nfs: not mounted\?\n {4}Mount it; if it was moved/m);
    expect(stdout).not.toContain("fleet");
  });

  test("stops at a signal while Ollama does not answer", async () => {
    let asked = false;
    const silent = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async () => {
        asked = true;
        return await new Promise<Response>(() => undefined);
      },
    });
    try {
      const doctor = site.start("agent.ts", ["doctor", "--share", site.share, "--ollama", String(silent.url)]);
      await until(() => asked, "it asks Ollama");
      expect(await doctor.stop()).toBe(130);
      expect(doctor.log).toContain("error: Interrupted before all checks were made");
    } finally {
      await silent.stop(true);
    }
  });
});

describe("gpuctl doctor", () => {
  test("pings through the share and leaves it unchanged", async () => {
    const ollama = await site.ollama();
    await site.agent("gpu-1", ollama.url);
    // Its first round creates files: from then on the share changes only through commands.
    await until(() => site.state("gpu-1")["serves_shared_inbox"] === true, "it serves the shared inbox");
    const before = published();
    const { status, stdout, stderr } = await site.gpuctl("doctor");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^✓ ping gpu-1: Round trip OK: \d+(?:\.\d)? ms$/m);
    // The agent removes the ping once it is answered.
    await until(() => Bun.deepEquals(published(), before), "the share is as it was");
  });

  test("reports a share that does not exist or is not mounted, and creates nothing", async () => {
    const empty = join(site.dir, "empty");
    mkdirSync(empty);
    for (const share of [empty, join(site.dir, "nothing")]) {
      const finished = await site.run("client.ts", ["doctor", "--json", "--share", share]);
      expect([finished.status, finished.stderr]).toEqual([1, ""]);
      expect(checksOf(finished)).toMatchObject([{ check: "mount", result: "failed" }]);
    }
    expect(readdirSync(empty)).toEqual([]);
  });

  // Root is never denied, so root gets a read-only mount in a namespace of its own; other users are denied.
  test("prints the whole report on a read-only share", async () => {
    const ollama = await site.ollama();
    const agent = await site.agent("gpu-1", ollama.url);
    expect(await agent.stop()).toBe(0);
    const isRoot = process.getuid?.() === 0;
    const folders = ["gpu_commands", "gpu_status", "gpu_status/.tmp"].map((name) => join(site.share, name));
    if (!isRoot) for (const folder of folders) chmodSync(folder, 0o555);
    const doctor = [process.execPath, CLIENT, "doctor", "--json", "--share", site.share];
    const mounted = ["unshare", "--mount", "sh", "-c", 'mount --bind -o ro "$0" "$0" && exec "$@"', site.share];
    const child = Bun.spawn(isRoot ? [...mounted, ...doctor] : doctor, { stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const finished = { status: await child.exited, stdout, stderr };
    for (const folder of folders) chmodSync(folder, 0o755);
    expect([finished.status, stderr]).toEqual([1, ""]);
    const reason = isRoot ? /the share is mounted read-only \(EROFS\)$/ : /permission denied for uid/;
    expect(named(finished, "create")).toMatchObject({ result: "failed", message: expect.stringMatching(reason) });
    expect(named(finished, "mount").result).toBe(isRoot ? "failed" : "ok");
    expect(named(finished, "agent")).toMatchObject({ subject: "gpu-1", result: "warning" });
    expect(named(finished, "leftovers").result).toBe("ok");
  });
});
