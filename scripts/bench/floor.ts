// The floor: what a request and its answer cost between two bare Bun processes that write a temp file, rename it into the
// other's folder and are notified by `fs.watch`. No protocol, no checks.
import { mkdirSync, readFileSync, renameSync, unlinkSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Send } from "./measure.ts";

const BODY = JSON.stringify({ command: "ping", padding: "x".repeat(200) });

/** The asking side; its other half is this file run as a process. */
export class Floor {
  readonly #dir: string;
  readonly #waiting = new Map<string, () => void>();
  readonly #watcher: ReturnType<typeof watch>;
  readonly #other: Bun.Subprocess;
  #asked = 0;

  private constructor(dir: string, other: Bun.Subprocess) {
    this.#dir = dir;
    this.#other = other;
    this.#watcher = watchFiles(join(dir, "answers"), (name) => {
      const resolve = this.#waiting.get(name);
      this.#waiting.delete(name);
      resolve?.();
    });
  }

  /** @param dir is made, and stays */
  static async open(dir: string): Promise<Floor> {
    for (const folder of ["requests", "answers", ".tmp"]) mkdirSync(join(dir, folder), { recursive: true });
    const other = Bun.spawn([process.execPath, import.meta.path, dir], { stdin: "ignore", stdout: "pipe" });
    const { value } = await other.stdout.getReader().read();
    if (value === undefined) throw new Error("The other half of the floor did not start");
    return new Floor(dir, other);
  }

  readonly request: Send = async () => {
    this.#asked++;
    const name = `${this.#asked}.json`;
    await new Promise<void>((resolve) => {
      this.#waiting.set(name, resolve);
      publish(this.#dir, "requests", name);
    });
  };

  async close(): Promise<void> {
    this.#watcher.close();
    this.#other.kill();
    await this.#other.exited;
  }
}

function publish(dir: string, folder: string, name: string): void {
  const temporary = join(dir, ".tmp", `${folder}-${name}`);
  writeFileSync(temporary, BODY);
  renameSync(temporary, join(dir, folder, name));
}

/** Reads and removes each file that comes; its removal is an event too, and finds nothing. */
function watchFiles(folder: string, found: (name: string) => void): ReturnType<typeof watch> {
  return watch(folder, (_event, name) => {
    if (name === null) return;
    const path = join(folder, name);
    try {
      JSON.parse(readFileSync(path, "utf8"));
    } catch {
      return;
    }
    unlinkSync(path);
    found(name);
  });
}

if (import.meta.main) {
  const [dir = ""] = process.argv.slice(2);
  watchFiles(join(dir, "requests"), (name) => publish(dir, "answers", name));
  process.stdout.write("ready\n");
}
