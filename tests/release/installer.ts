// install.sh on a root of its own: as a whole, or its functions alone, which need no root and no systemd.
import { mkdtempSync } from "node:fs";
import { chmod, cp, mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Glob } from "bun";

const ROOT = join(import.meta.dir, "../..");
const LAST_LINE = 'main "$@"\n';

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Installer {
  readonly dir = mkdtempSync(join(tmpdir(), "gpu-courier-installer-"));
  readonly release = join(this.dir, "release");
  /** As /etc/gpu-courier. */
  readonly config = join(this.dir, "etc");

  /** Makes a release of this checkout's install.sh, whose programs are scripts that note that they ran. */
  async stock(): Promise<void> {
    for (const folder of ["etc", "units", "keep", "temp", "bin"]) await mkdir(join(this.dir, folder));
    await this.write("release/install.sh", await this.#text());
    await cp(join(ROOT, "systemd"), join(this.release, "systemd"), { recursive: true });
    for (const program of ["gpu-agent", "gpuctl"]) {
      await this.write(`release/${program}`, `#!/bin/sh\ntouch ${this.dir}/ran\necho 1.2.3\n`);
      await chmod(join(this.release, program), 0o755);
    }
    await this.write("release/THIRD_PARTY_LICENSES", "Of what the programs hold\n");
    await this.write("bin/systemctl", "#!/bin/sh\nexit 1\n");
    await chmod(join(this.dir, "bin/systemctl"), 0o755);
    await this.sum();
  }

  async write(path: string, text: string): Promise<void> {
    await Bun.write(join(this.dir, path), text);
  }

  async read(path: string): Promise<string> {
    return await Bun.file(join(this.dir, path)).text();
  }

  async has(path: string): Promise<boolean> {
    return await Bun.file(join(this.dir, path)).exists();
  }

  /** Writes SHA256SUMS of the files as they are now. */
  async sum(): Promise<void> {
    const names = [...new Glob("**").scanSync({ cwd: this.release })].filter((name) => !name.startsWith("SHA256SUMS"));
    const sums = names.map(async (name) => {
      const content = await Bun.file(join(this.release, name)).arrayBuffer();
      return `${new Bun.CryptoHasher("sha256").update(content).digest("hex")}  ${name}\n`;
    });
    await this.write("release/SHA256SUMS", (await Promise.all(sums)).join(""));
  }

  /** Runs install.sh as an operator does. */
  async install(...args: readonly string[]): Promise<Finished> {
    return await this.#run("sh", join(this.release, "install.sh"), ...args);
  }

  /** Runs a script with the functions of install.sh, after its options were read. `$root` is the folder of all that is here. */
  async functions(script: string, ...options: readonly string[]): Promise<Finished> {
    const text = await this.#text();
    const start = `${text.slice(0, -LAST_LINE.length)}
      root=${this.dir} temp=${this.dir}/temp undo=${this.dir}/undo keep=$KEEP/agent release=${this.release}
      user=$OUR_USER runs_as=$OUR_USER runs_in='' runs_in_too='' share=/mnt/shared transport='' named_share='' uses_share=1 opt_dry_run='' invoked=install.sh
      read_options "$@"
      check_options
      trap - EXIT
    `;
    return await this.#run("sh", "-c", start + script, "install.sh", ...options);
  }

  async close(): Promise<void> {
    await rm(this.dir, { recursive: true });
  }

  async #text(): Promise<string> {
    const text = await Bun.file(join(ROOT, "install.sh")).text();
    if (!text.endsWith(LAST_LINE)) throw new Error("install.sh does not end with its call of main");
    return text
      .replace("UNITS=/etc/systemd/system\n", `UNITS=${this.dir}/units\n`)
      .replace("CONFIG=/etc/gpu-courier\n", `CONFIG=${this.config}\n`)
      .replace("KEEP=/var/lib/gpu-courier\n", `KEEP=${this.dir}/keep\n`);
  }

  async #run(...command: readonly string[]): Promise<Finished> {
    const child = Bun.spawn([...command], {
      cwd: this.dir,
      env: { PATH: `${this.dir}/bin:${process.env["PATH"]}` },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { status: await child.exited, stdout, stderr };
  }
}
