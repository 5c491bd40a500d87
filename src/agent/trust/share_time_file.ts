// The latest time that was seen on a share, in a file of the state directory: one for each address of a share.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { instantMs, isoTime } from "../../base/clock.ts";
import { CourierError, systemCode } from "../../base/errors.ts";
import { replaceFile } from "../../trust/replace_file.ts";

export class ShareTimeFile {
  readonly #path: string;
  readonly #address: string;

  /** @param address of the share, in one spelling */
  constructor(stateDir: string, address: string) {
    const id = createHash("sha256").update(address).digest("hex").slice(0, 16);
    this.#path = join(stateDir, `share-time-${id}`);
    this.#address = address;
  }

  exists(): boolean {
    return existsSync(this.#path);
  }

  /**
   * @returns in ms since 1970; null when none is kept, or a power cut left an empty file
   * @throws CourierError `forbidden` when it cannot be read
   */
  read(): number | null {
    try {
      return instantMs(readFileSync(this.#path, "utf8").split(" ", 1)[0] ?? "") || null;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return null;
      throw failure("read", this.#path, error);
    }
  }

  /** Replaces the file as a whole. @throws the system's error */
  write(ms: number): void {
    replaceFile(this.#path, `${isoTime(ms)} ${this.#address}\n`);
  }

  /** @returns whether there was one @throws CourierError `forbidden` when it cannot be removed */
  remove(): boolean {
    const existed = this.exists();
    try {
      rmSync(this.#path, { force: true });
    } catch (error) {
      throw failure("remove", this.#path, error);
    }
    return existed;
  }
}

function failure(action: string, path: string, cause: unknown): CourierError {
  return new CourierError("forbidden", `Cannot ${action} ${path}: ${systemCode(cause) ?? String(cause)}`, {
    hint: "Run it as root or as the agent's user",
    cause,
  });
}
