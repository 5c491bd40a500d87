// A machine without a network, for processes of a test: a network namespace that has only its own loopback. Linux only.
import { join } from "node:path";

export class Namespace implements AsyncDisposable {
  readonly #holder: Bun.Subprocess<"pipe", "pipe", "inherit">;

  private constructor(holder: Bun.Subprocess<"pipe", "pipe", "inherit">) {
    this.#holder = holder;
  }

  /** Resolves when 127.0.0.1 answers in there. */
  static async open(): Promise<Namespace> {
    const holder = Bun.spawn(
      ["unshare", "--map-root-user", "--net", process.execPath, join(import.meta.dir, "loopback_up.ts")],
      { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    );
    const { value } = await holder.stdout.getReader().read();
    if (value === undefined) throw new Error("Cannot make a network namespace: does this kernel let users do that?");
    return new Namespace(holder);
  }

  /** What to put in front of a command that runs in there. */
  get entry(): readonly string[] {
    return ["nsenter", "--target", String(this.#holder.pid), "--user", "--net", "--preserve-credentials", "--"];
  }

  /** The processes in there go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.kill("SIGKILL");
    await this.#holder.exited;
  }
}
