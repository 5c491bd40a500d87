// A folder of the mirror that is held open: what is done in it stays in it, whatever its name leads to meanwhile.
import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "../../base/errors.ts";
import { closing, type Guard, guarded, type OpenFile, opening } from "./reading/guard.ts";

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
/** Opening a FIFO without a writer would wait forever. */
const FILE = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
const PERMISSIONS = 0o777;

/** A name in a folder, as its last listing has it. A link is neither. */
export interface Entry {
  readonly name: string;
  readonly kind: "file" | "folder" | "other";
}

export class HeldFolder implements AsyncDisposable {
  /** For messages. */
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #guard: Guard | null;

  private constructor(path: string, handle: FileHandle, guard: Guard | null) {
    this.path = path;
    this.#handle = handle;
    this.#guard = guard;
  }

  /**
   * The operator's own folder, whose path may lead over links.
   * @param guard through which all calls here and below go; null: a program that may wait for a share that hangs
   * @throws the system's error; what the guard throws
   */
  static async openRoot(path: string, guard: Guard | null = null): Promise<HeldFolder> {
    const handle = await opening(guard, async () => await open(path, O_RDONLY | O_DIRECTORY));
    return new HeldFolder(path, handle, guard);
  }

  /** The path of a name in this folder, for one call. */
  at(name: string): string {
    return process.platform === "linux" ? `/proc/self/fd/${this.#handle.fd}/${name}` : join(this.path, name);
  }

  /** A folder below, which the caller closes. @returns null when it does not exist. @throws the system's error: `ENOTDIR` for a link */
  async folder(...names: readonly string[]): Promise<HeldFolder | null> {
    return await this.#descend(names, async (parent, name) => await absent(parent.#open(name, FOLDER)));
  }

  /** As `folder`; what is missing is made, with the permissions of this folder. */
  async makeFolder(...names: readonly string[]): Promise<HeldFolder> {
    const made = await this.#descend(names, async (parent, name) => {
      await parent.#make(name);
      return await parent.#open(name, FOLDER);
    });
    if (made === null) throw new Error(`Not made: ${names.join("/")}`);
    return made;
  }

  /** A regular file, which the caller closes. @returns null when it does not exist, or is something else */
  async file(name: string): Promise<{ readonly handle: OpenFile; readonly bytes: number } | null> {
    const handle = await absent(this.#open(name, FILE), ["ENOENT", "ELOOP", "ENXIO"]);
    if (handle === null) return null;
    const held = guarded(this.#guard, handle);
    try {
      const facts = await this.#run(async () => await handle.stat());
      if (facts.isFile()) return { handle: held, bytes: facts.size };
    } catch (error) {
      await held.close();
      throw error;
    }
    await held.close();
    return null;
  }

  /** Size and time of a regular file; null when there is no such file. */
  async look(name: string): Promise<{ readonly bytes: number; readonly modifiedAtMs: number } | null> {
    const facts = await absent(this.#run(async () => await lstat(this.at(name))));
    return facts?.isFile() === true ? { bytes: facts.size, modifiedAtMs: facts.mtimeMs } : null;
  }

  /** None where this folder was removed meanwhile. */
  async entries(): Promise<readonly Entry[]> {
    const found = await absent(this.#run(async () => await readdir(this.at("."), { withFileTypes: true })));
    return (found ?? []).map((entry) => {
      return { name: entry.name, kind: entry.isFile() ? "file" : entry.isDirectory() ? "folder" : "other" };
    });
  }

  /** What files here should permit: as this folder does, without the right to run them. */
  async fileMode(): Promise<number> {
    return (await this.#run(async () => await this.#handle.stat())).mode & 0o666;
  }

  /** Makes what was renamed into this folder survive a power cut. */
  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async close(): Promise<void> {
    await closing(this.#guard, this.#handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Enters one folder after the other; those on the way are closed again. */
  async #descend(
    [name, ...rest]: readonly string[],
    enter: (parent: HeldFolder, name: string) => Promise<FileHandle | null>,
  ): Promise<HeldFolder | null> {
    if (name === undefined) throw new Error("No folder is named");
    const handle = await enter(this, name);
    if (handle === null) return null;
    const below = new HeldFolder(join(this.path, name), handle, this.#guard);
    if (rest.length === 0) return below;
    try {
      return await below.#descend(rest, enter);
    } finally {
      await below.close();
    }
  }

  async #open(name: string, flags: number): Promise<FileHandle> {
    return await opening(this.#guard, async () => await open(this.at(name), flags));
  }

  async #run<Value>(call: () => Promise<Value>): Promise<Value> {
    return this.#guard === null ? await call() : await this.#guard.run(call);
  }

  async #make(name: string): Promise<void> {
    const mode = (await this.#handle.stat()).mode & PERMISSIONS;
    try {
      await mkdir(this.at(name), { mode });
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
      return;
    }
    // The umask has cut the mode; and a folder with setgid keeps its group only by itself.
    const made = await open(this.at(name), FOLDER);
    try {
      await made.chmod(((await made.stat()).mode & ~PERMISSIONS) | mode);
    } finally {
      await made.close();
    }
  }
}

/** Null where there is nothing of that name. */
export async function absent<Value>(
  work: Promise<Value>,
  codes: readonly string[] = ["ENOENT"],
): Promise<Value | null> {
  try {
    return await work;
  } catch (error) {
    if (codes.includes(systemCode(error) ?? "")) return null;
    throw error;
  }
}
