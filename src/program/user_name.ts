// The user that this process runs as.
import { readFileSync } from "node:fs";

export interface UserSource {
  /** The file with the users of this machine. */
  readonly passwdFile?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * The name of the process's user id. `userInfo()` of Bun 1.4.5 returns `USER`, which any program may set, and `unknown`
 * without it. A user who is not in the file, as one of a directory service, has the name in the environment, if any, and
 * otherwise the id.
 */
export function userName({ passwdFile = "/etc/passwd", environment = process.env }: UserSource = {}): string {
  const uid = process.geteuid?.();
  const known = uid === undefined ? undefined : nameIn(passwdFile, uid);
  return known || environment["USER"] || environment["LOGNAME"] || String(uid ?? "unknown");
}

/** The file has the name first and the id third. */
function nameIn(file: string, uid: number): string | undefined {
  const lines = readLines(file).map((line) => line.split(":"));
  return lines.find(([, , id]) => id === String(uid))?.[0];
}

/** None where the system has no such file. */
function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}
