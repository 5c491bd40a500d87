// A file system of its own under an exported folder, which can be taken from there while clients use it.
import { mkdirSync, rmdirSync } from "node:fs";
import { finish, run } from "./machines.ts";
import type { Version } from "./scope.ts";

const ATTEMPTS = 50;

/** Mounted from `mount()` to the end of the block that it is opened in. */
export class SpareDisk implements AsyncDisposable {
  readonly #image: string;
  readonly #elsewhere: string;
  /** By depth: what was mounted last is unmounted first. */
  readonly #mounted: string[] = [];

  constructor(version: Version) {
    this.#image = `/disk/spare-${version}.ext4`;
    this.#elsewhere = `/disk/moved-${version}`;
  }

  async mount(folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    await run("server", "mount", "-o", "loop", this.#image, folder);
    this.#mounted.push(folder);
  }

  /** The same file system, mounted elsewhere and bound to this folder. */
  async bind(folder: string): Promise<void> {
    await this.mount(this.#elsewhere);
    await run("server", "mount", "-o", "bind", this.#elsewhere, folder);
    this.#mounted.push(folder);
  }

  /** The NFS server must be stopped: it keeps files open for its clients. */
  async unmount(): Promise<void> {
    for (let point = this.#mounted.at(-1); point !== undefined; point = this.#mounted.at(-1)) {
      await unmount(point);
      this.#mounted.pop();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount();
    rmdirSync(this.#elsewhere);
  }
}

/** The kernel's table of exports may keep it in use for some seconds more. */
async function unmount(point: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const { status, stderr } = await finish("server", ["umount", point]);
    if (status === 0) return;
    if (attempt === ATTEMPTS) throw new Error(stderr);
    await Bun.sleep(200);
    await run("server", "exportfs", "-f");
  }
}
