// A lock between programs: a file that one of them creates, and the others wait for.
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { systemCode } from "../../base/errors.ts";

/** It is held for one small write: an older one was left by a program that was killed. */
const ENDS_MS = 5_000;
const PAUSE_MS = 10;

export class FileLock {
  readonly #path: string;
  /** Whose lock it is. */
  readonly #token = randomUUID();

  constructor(path: string) {
    this.#path = path;
  }

  /** Waits for another program, which holds it for milliseconds. */
  take(): void {
    while (!this.#create()) {
      if (this.#isLeft()) this.#remove(this.#read());
      else Bun.sleepSync(PAUSE_MS);
    }
  }

  /** Unless another program has taken it for left. */
  release(): void {
    this.#remove(this.#token);
  }

  #create(): boolean {
    try {
      writeFileSync(this.#path, this.#token, { flag: "wx", mode: 0o600 });
      return true;
    } catch (error) {
      if (systemCode(error) === "EEXIST") return false;
      throw error;
    }
  }

  /** By the clock of the folder, which may be on a file server: a file that is made now has its time. */
  #isLeft(): boolean {
    const madeAtMs = statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs;
    if (madeAtMs === undefined) return false;
    const probe = `${this.#path}.${this.#token}`;
    try {
      writeFileSync(probe, "", { mode: 0o600 });
      return Math.abs(statSync(probe).mtimeMs - madeAtMs) > ENDS_MS;
    } finally {
      rmSync(probe, { force: true });
    }
  }

  /** Only the one with this token: another program may have replaced it since it was read. */
  #remove(token: string | null): void {
    const taken = `${this.#path}.${this.#token}.old`;
    try {
      if (token === null || this.#read() !== token) return;
      renameSync(this.#path, taken);
      if (readFileSync(taken, "utf8") !== token) linkSync(taken, this.#path);
    } catch (error) {
      if (!["ENOENT", "EEXIST"].includes(systemCode(error) ?? "")) throw error;
    }
    rmSync(taken, { force: true });
  }

  #read(): string | null {
    try {
      return readFileSync(this.#path, "utf8");
    } catch (error) {
      if (systemCode(error) === "ENOENT") return null;
      throw error;
    }
  }
}
