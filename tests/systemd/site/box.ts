// A box: a Debian booted with systemd in a container of its own, with a share, an Ollama and releases.
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Finished, until } from "#tests/process/site/site.ts";
import { searchPath } from "#tests/support/debian.ts";
import { endCgroup } from "#tests/systemd/host/cgroup.ts";
import { ground } from "./scope.ts";

const BOOT = join(import.meta.dir, "../host/boot");
const TIMEOUT_MS = 60_000;
const BOOT_QUESTION_MS = 5_000;
/** Each look starts programs in the box. Without a pause some of the tests would keep a processor busy with looking. */
const LOOKS_APART_MS = 100;
const ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8"];

/**
 * A test body on a box of its own, which has booted: /mnt/shared is mounted, Ollama runs, nothing is installed. When it
 * fails, what the box logged is printed.
 */
export function onBox(body: (box: Box) => Promise<void>): () => Promise<void> {
  return async () => {
    const box = await Box.boot();
    try {
      await body(box);
    } catch (error) {
      process.stderr.write(`${await box.describe()}\n`);
      throw error;
    } finally {
      await box.close();
    }
  };
}

export class Box {
  readonly #cgroup: string;
  readonly #container: Bun.Subprocess;
  /** What its first process and systemd-nspawn say. */
  readonly #console: string;
  #init = 0;

  private constructor(cgroup: string, container: Bun.Subprocess, console: string) {
    this.#cgroup = cgroup;
    this.#container = container;
    this.#console = console;
  }

  static async boot(): Promise<Box> {
    const { root, srv, boxes, cgroup } = ground();
    const name = `box-${Bun.randomUUIDv7().slice(-12)}`;
    const [folder, own] = [join(boxes, name), join(cgroup, name)];
    for (const made of [folder, own]) mkdirSync(made);
    const console = join(boxes, `${name}.console`);
    const output = openSync(console, "w");
    const container = Bun.spawn(["unshare", "--mount", BOOT, root, folder, srv, own], {
      env: { PATH: searchPath() },
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    const box = new Box(own, container, console);
    try {
      await box.booted();
    } catch (error) {
      await box.close();
      throw error;
    }
    return box;
  }

  /** Resolves when all that starts at boot has started, or failed. */
  async booted(): Promise<void> {
    const before = this.#init;
    await until(
      async () => {
        if (this.#container.exitCode !== null) {
          throw new Error(`The box does not boot:\n${readFileSync(this.#console, "utf8")}`);
        }
        this.#init = this.#findInit();
        if (this.#init === 0 || this.#init === before) return false;
        // Asked again: a question that reaches systemd while it begins may wait forever for the end of the boot.
        const { stdout } = await this.sh("systemctl is-system-running --wait", BOOT_QUESTION_MS);
        return /^(?:running|degraded)$/m.test(stdout);
      },
      "the box has booted",
      TIMEOUT_MS,
    );
  }

  /** Boots it again: in good order, or as when the power fails. */
  async reboot(how: "orderly" | "power cut"): Promise<void> {
    await this.sh(how === "orderly" ? "systemctl reboot" : "systemctl reboot --force --force");
    await this.booted();
  }

  /** Runs a script as root. */
  async sh(script: string, timeoutMs = TIMEOUT_MS): Promise<Finished> {
    const enter = ["nsenter", `--target=${this.#init}`, "--all", "env", "-i", ...ENVIRONMENT, "sh", "-c", script];
    const child = Bun.spawn(enter, { stdio: ["ignore", "pipe", "pipe"], timeout: timeoutMs, killSignal: "SIGKILL" });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { status: await child.exited, stdout, stderr };
  }

  /** @returns what it wrote on stdout. @throws Error with all that it wrote when it fails */
  async run(script: string, timeoutMs?: number): Promise<string> {
    const { status, stdout, stderr } = await this.sh(script, timeoutMs);
    if (status !== 0) throw new Error(`${script}: exit status ${status}\n${stdout}${stderr}`);
    return stdout.trim();
  }

  /** Waits until the script succeeds. @returns what it wrote on stdout then */
  async until(script: string, timeoutMs = 30_000): Promise<string> {
    const look = async (): Promise<string | undefined> => {
      const { status, stdout } = await this.sh(script);
      return status === 0 ? stdout.trim() : undefined;
    };
    return await until(look, `"${script}" succeeds in the box`, timeoutMs, LOOKS_APART_MS);
  }

  /** What systemd knows of a unit, by name. */
  async properties<Name extends string>(unit: string, ...names: readonly Name[]): Promise<Record<Name, string>> {
    const text = await this.run(`systemctl show ${unit} ${names.map((name) => `--property=${name}`).join(" ")}`);
    const lines = text.split("\n").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
    return Object.fromEntries(lines);
  }

  /** The end of its journal. */
  async describe(): Promise<string> {
    const { stdout } = await this.sh("journalctl --no-pager --no-hostname -o short-precise -n 120; systemctl --failed");
    return `The box's journal:\n${stdout}`;
  }

  /** Ends all that runs in it, at once. */
  async close(): Promise<void> {
    await endCgroup(this.#cgroup);
    await this.#container.exited;
  }

  /** Its first process, by this machine's number; 0: not started yet. */
  #findInit(): number {
    try {
      return Number(readFileSync(join(this.#cgroup, "payload/init.scope/cgroup.procs"), "utf8").split("\n")[0]);
    } catch {
      return 0;
    }
  }
}
