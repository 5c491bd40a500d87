// The share's own folder: whether it exists, its kind of file system, and whether that is the same as before.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { CourierError, systemCode } from "../../../base/errors.ts";
import type { Facts, Primitives } from "../calls/primitives.ts";
import { type Kind, kindOf } from "./mount.ts";

export interface Root {
  readonly facts: Facts;
  readonly kind: Kind;
  /** Whether `rememberIn` holds this kind already. */
  readonly isRemembered: boolean;
}

/**
 * Looks at the share's own folder, for a handle and for `doctor` alike.
 * @param rememberIn the file that remembers the kind of file system; only read here
 * @throws CourierError `unavailable` when it is not there, no folder, or on another kind than before; else the system's error
 */
export async function examineRoot(fs: Primitives, root: string, rememberIn: string | undefined): Promise<Root> {
  const facts = await statRoot(fs, root);
  const kind = kindOf(await fs.statfs(root));
  const before = rememberIn === undefined ? null : readRememberedKind(rememberIn);
  if (before === null || before === kind.name) return { facts, kind, isRemembered: before !== null };
  throw new CourierError("unavailable", `${root} is on ${kind.name}, it was on ${before}: not mounted?`, {
    hint: `Mount it; if it was moved on purpose, remove ${rememberIn}`,
  });
}

/** @param program the start of "once with --init", where only one program may make the folder */
export function missingTop(root: string, path: string, program: "" | "gpu-agent "): CourierError {
  return new CourierError("unavailable", `${root} has no ${basename(path)} folder. Is the share mounted?`, {
    hint: `Mount it, or start ${program}once with --init`,
  });
}

/** Replaces the file as a whole: a power cut leaves the old one, the new one or an empty one. */
export function rememberKind(file: string, { name }: Kind): void {
  writeFileSync(`${file}.new`, `${name}\n`);
  renameSync(`${file}.new`, file);
}

async function statRoot(fs: Primitives, root: string): Promise<Facts> {
  const hint = "Mount it, or name the shared folder with --share";
  try {
    const facts = await fs.stat(root);
    if (facts.kind === "folder") return facts;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw new CourierError("unavailable", `${root} does not exist: not mounted?`, { hint });
  }
  throw new CourierError("unavailable", `${root} is not a directory`, { hint });
}

/** @returns null when none was remembered; an empty file, as a power cut leaves it, remembers none */
function readRememberedKind(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim() || null;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw error;
  }
}
