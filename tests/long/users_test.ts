// The three programs and the legacy backend as different users on a local share: what works, and the message where it does not.
// Only root can start processes of other users: any other user tests only the scenario of one user.
import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SimulatedOllama } from "#sim/ollama/ollama.ts";
import { type Finished, ProcessSite, type Running, until } from "#tests/process/site/site.ts";

const ENTRY_POINT = "../tests/process/site/entry_point_as_user.ts";
const ROOT_USER = process.getuid?.() === 0;
const PHI = { name: "phi4:latest", layers: [2_000_000] };

/** Ids that no account of this machine has. */
const GROUP = 61_000;
interface User {
  /** UID:GID[:GROUPS] */
  readonly who: string;
  readonly umask: string;
}
/** As systemd's `SupplementaryGroups=` makes it. */
const AGENT: User = { who: `61001:61001:${GROUP}`, umask: "077" };
const SENDER: User = { who: `61002:${GROUP}`, umask: "077" };
const LEGACY_BACKEND: User = { who: `61003:${GROUP}`, umask: "022" };

/** A share that is a site's, with one box; each scenario has its own, so they run concurrently. */
class Ground {
  readonly site: ProcessSite;
  readonly #ollama: SimulatedOllama;

  private constructor(site: ProcessSite, ollama: SimulatedOllama) {
    this.site = site;
    this.#ollama = ollama;
  }

  static async open(): Promise<Ground> {
    const site = new ProcessSite();
    chmodSync(site.dir, 0o755);
    return new Ground(site, await site.ollama({ catalog: [PHI], installed: [PHI] }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site.close();
  }

  get tops(): string[] {
    return ["gpu_commands", "gpu_status"].map((name) => join(this.site.share, name));
  }

  startAgent({ who, umask }: User, ...args: readonly string[]): Running {
    const stateDir = this.site.stateDirOf("gpu-1");
    mkdirSync(stateDir, { recursive: true });
    const [uid, gid] = who.split(":");
    chownSync(stateDir, Number(uid), Number(gid));
    const own = ["--share", this.site.share, "--name", "gpu-1", "--ollama", this.#ollama.url, "--state-dir", stateDir];
    return this.site.start(ENTRY_POINT, [who, umask, "agent", ...own, "--log-format", "json", ...args]);
  }

  async gpuctl({ who, umask }: User, ...args: readonly string[]): Promise<Finished> {
    return await this.site.run(ENTRY_POINT, [who, umask, "client", "--share", this.site.share, ...args]);
  }

  async legacyBackend({ who, umask }: User, ...args: readonly string[]): Promise<Record<string, unknown>> {
    const { stdout } = await this.site.run(ENTRY_POINT, [who, umask, "backend", this.site.share, ...args]);
    return JSON.parse(stdout);
  }

  /** Runs the command that the agent's hint names until none is left. @returns the commands, in order */
  async mendUntilPublished(agent: Running): Promise<string[]> {
    const done: string[] = [];
    await until(async () => {
      const hint = warnings(agent).at(-1)?.["hint"];
      if (hint !== undefined && !done.includes(commandOf(hint))) {
        done.push(commandOf(hint));
        // One that looks while folders are half changed has a hint for the rest.
        process.kill(agent.pid, "SIGSTOP");
        await runAsRoot(commandOf(hint)).finally(() => process.kill(agent.pid, "SIGCONT"));
      }
      return this.site.list("gpu_status").includes("gpu-1_status.json");
    }, "it publishes its state");
    return done;
  }

  /** All three ways to the agent. */
  async expectService(agent: Running, sender: User, backend: User): Promise<void> {
    await agent.logged("Serving the shared inbox");
    await until(() => this.site.state("gpu-1")["ollama_available"] === true, "it has asked Ollama");
    const listed = await this.gpuctl(sender, "list", "--json");
    expect([listed.status, listed.stderr]).toEqual([0, ""]);
    expect((await this.gpuctl(sender, "rm", "phi4")).status).toBe(0);
    expect((await this.gpuctl(sender, "pull", "phi4")).status).toBe(0);
    expect(await this.legacyBackend(backend, "list", "--poll-ms", "100")).toMatchObject({ reason: "answered" });
    await this.legacyBackend(backend, "delete", "phi4:latest");
    await until(() => this.#ollama.installed().length === 0, "the legacy backend's delete is done");
    // The agent removes its files after 5 s.
    const isClean = (): boolean => this.site.list("gpu_commands").every((name) => !name.endsWith(".json"));
    await until(isClean, "no command is left");
  }

  made(): { folders: string[]; files: string[] } {
    const { share } = this.site;
    const paths = readdirSync(share, { recursive: true, encoding: "utf8" }).map((name) => join(share, name));
    const kinds = Object.groupBy(paths, (path) => (lstatSync(path).isDirectory() ? "folders" : "files"));
    return { folders: kinds.folders ?? [], files: kinds.files ?? [] };
  }
}

function give(path: string, uid: number, gid: number, mode: number): void {
  chownSync(path, uid, gid);
  chmodSync(path, mode);
}

function warnings({ log }: Running): Record<string, unknown>[] {
  const lines = log.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line)).filter(({ level }) => level === "warn" || level === "error");
}

/** The command an operator copies from a hint: everything after the colon. */
function commandOf(hint: unknown): string {
  return /: (sudo .*)$/.exec(String(hint))?.[1] ?? expect.unreachable(`No command in "${String(hint)}"`);
}

/** Root needs no sudo, which may be missing. */
async function runAsRoot(command: string): Promise<void> {
  const child = Bun.spawn(["sh", "-c", command.replaceAll("sudo ", "")], { stdout: "pipe", stderr: "pipe" });
  const said = await child.stderr.text();
  expect([command, await child.exited, said]).toEqual([command, 0, ""]);
}

const modes = (paths: readonly string[]): string[] => [
  ...new Set(paths.map((path) => (lstatSync(path).mode & 0o7777).toString(8))),
];

test.concurrent("a single user with a strict umask works on a share of their own", async () => {
  await using ground = await Ground.open();
  const me: User = { who: `${process.getuid?.()}:${process.getgid?.()}`, umask: "077" };
  const agent = ground.startAgent(me);
  await agent.logged('"Ready"');
  await ground.expectService(agent, me, me);
  expect(warnings(agent)).toEqual([]);
}, 60_000);

if (ROOT_USER) {
  describe("users of one group, each with their own umask", () => {
    test.concurrent("work on folders of mode 2770 that root owns", async () => {
      await using ground = await Ground.open();
      for (const path of [ground.site.share, ...ground.tops]) give(path, 0, GROUP, 0o2770);
      const agent = ground.startAgent(AGENT);
      await agent.logged('"Ready"');
      await ground.expectService(agent, SENDER, LEGACY_BACKEND);
      expect(warnings(agent)).toEqual([]);
      const { folders, files } = ground.made();
      expect([modes(folders), modes(files)]).toEqual([["2770"], ["660"]]);
      expect([...folders, ...files].filter((path) => lstatSync(path).gid !== GROUP)).toEqual([]);
      const doctor = await ground.gpuctl(SENDER, "doctor");
      expect([doctor.stdout, doctor.status]).toEqual([expect.stringContaining(" 0 warnings, 0 failed"), 0]);
    }, 60_000);

    test.concurrent("get a hint for each folder that the legacy service left writable by root only", async () => {
      await using ground = await Ground.open();
      give(ground.site.share, 0, GROUP, 0o2775);
      for (const top of ground.tops) {
        give(top, 0, 0, 0o755);
        for (const name of [".tmp", ".claims"]) mkdirSync(join(top, name));
      }
      writeFileSync(join(ground.site.share, "gpu_status", "list_models_1752597600_response.json"), "{}");
      const agent = ground.startAgent(AGENT);
      const commands = await ground.mendUntilPublished(agent);
      expect(commands).toEqual(
        ground.tops.map(
          (top) => `sudo chgrp -R ${GROUP} ${top} && sudo chmod -R g+rwX ${top} && sudo chmod g+s ${top}`,
        ),
      );
      await ground.expectService(agent, SENDER, LEGACY_BACKEND);
      expect((await ground.gpuctl(SENDER, "doctor")).status).toBe(0);
    }, 60_000);
  });

  describe("users who share no group", () => {
    const STRANGERS: readonly User[] = [61_001, 61_002, 61_003].map((id) => ({ who: `${id}:${id}`, umask: "077" }));
    const [agentUser, sender, backend] = [STRANGERS[0] ?? AGENT, STRANGERS[1] ?? SENDER, LEGACY_BACKEND];

    test.concurrent("work on a share of mode 777 that root owns, and doctor warns of it", async () => {
      await using ground = await Ground.open();
      for (const top of ground.tops) rmSync(top, { recursive: true });
      give(ground.site.share, 0, 0, 0o777);
      const agent = ground.startAgent(agentUser, "--init");
      await agent.logged('"Ready"');
      await ground.expectService(agent, sender, backend);
      expect(warnings(agent)).toEqual([]);
      const doctor = await ground.gpuctl(sender, "doctor");
      expect(doctor.status).toBe(0);
      for (const top of ["gpu_commands", "gpu_status"])
        expect(doctor.stdout).toContain(
          `! folder ${top}: Anyone can write to it, and thus pull and delete models: owned by 61001`,
        );
    }, 60_000);

    test.concurrent("get the hint to drop the sticky bit, under which each could only remove their own files", async () => {
      await using ground = await Ground.open();
      for (const top of ground.tops) give(top, 0, 0, 0o1777);
      const agent = ground.startAgent(agentUser);
      await agent.logged('"Ready"');
      const before = await ground.gpuctl(sender, "doctor", "--json");
      const { checks } = JSON.parse(before.stdout);
      const hints = checks.filter(({ hint }: { hint: string | null }) => hint?.includes("chmod -t"));
      expect(hints.length).toBe(2);
      for (const { hint } of hints) await runAsRoot(commandOf(hint));
      expect(modes(ground.tops)).toEqual(["777"]);
      await ground.expectService(agent, sender, backend);
    }, 60_000);

    test.concurrent("get a hint to join the group where the share belongs to one", async () => {
      await using ground = await Ground.open();
      for (const path of [ground.site.share, ...ground.tops]) give(path, 0, GROUP, 0o2770);
      const nobody: User = { who: "65534:65534", umask: "022" };
      const agent = ground.startAgent(nobody);
      const { reason, hint } = await until(() => warnings(agent)[0], "it reports why");
      expect(reason).toContain(
        `permission denied for uid 65534, gid 65534: ${ground.site.share} is owned by 0:${GROUP}, mode 2770`,
      );
      expect(hint).toBe(
        `Join its group, then start again: sudo groupadd -g ${GROUP} share-${GROUP} && sudo usermod -aG share-${GROUP} nobody`,
      );
      await agent.stop();
      await ground.startAgent({ who: `65534:65534:${GROUP}`, umask: "022" }).logged('"Ready"');
    }, 60_000);

    test.concurrent("learn which folder above the share is closed", async () => {
      await using ground = await Ground.open();
      for (const path of [ground.site.share, ...ground.tops]) give(path, 0, 0, 0o777);
      chmodSync(ground.site.dir, 0o700);
      const { stderr, status } = await ground.gpuctl(sender, "ping");
      expect([status, stderr]).toEqual([69, expect.stringContaining(`${ground.site.dir} is owned by 0:0, mode 0700`)]);
      expect(stderr.trim().split("\n").at(-1)?.trim()).toBe("See Permissions in docs/operations.md");
    }, 60_000);
  });

  test.concurrent("a command that its sender's umask makes unreadable is refused with owner and mode", async () => {
    await using ground = await Ground.open();
    for (const path of [ground.site.share, ...ground.tops]) give(path, 0, GROUP, 0o2770);
    const agent = ground.startAgent(AGENT);
    await agent.logged("Serving the shared inbox");
    const list = await ground.legacyBackend({ ...LEGACY_BACKEND, umask: "077" }, "list", "--poll-ms", "100");
    const error = `is not readable by this user: owned by 61003:${GROUP}, mode 0600`;
    expect(list).toMatchObject({ reason: "service_failed", error: expect.stringContaining(error) });
    expect(warnings(agent)).toContainEqual(expect.objectContaining({ reason: expect.stringContaining(error) }));
  }, 60_000);
}
