// Failures of the mirror's files, as errors for people.
import { asCourierError, CourierError, type ErrorCode, systemCode } from "../../base/errors.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  EACCES: "forbidden",
  EPERM: "forbidden",
  EROFS: "forbidden",
  ENOSPC: "exhausted",
  EDQUOT: "exhausted",
  ENOTDIR: "conflict",
  ELOOP: "conflict",
};
const HINTS: Readonly<Record<string, string>> = {
  EACCES: "Check who may read and write it on this machine",
  EPERM: "Check who may read and write it on this machine",
  EROFS: "The share is mounted read-only here",
  ENOSPC: "Free space on the share: gpuctl mirror rm, gpuctl mirror gc",
  EDQUOT: "Free space on the share: gpuctl mirror rm, gpuctl mirror gc",
  ENOTDIR: "A file or a link is where a folder should be: remove it",
  ELOOP: "A link is where a file should be: remove it",
};

/** @param action what could not be done: `read the mirror` */
export function mirrorFailure(action: string, path: string, error: unknown): CourierError {
  // Why the work ended, and not that closing its file failed too, as that of an unfinished file of another user.
  if (error instanceof SuppressedError) return mirrorFailure(action, path, error.suppressed);
  const code = systemCode(error);
  if (error instanceof CourierError || code === undefined) return asCourierError(error);
  return new CourierError(CODES[code] ?? "unavailable", `Cannot ${action} in ${path}: ${code}`, {
    hint: HINTS[code] ?? "Is the share mounted, and does its server answer?",
    cause: error,
  });
}

export function noMirror(path: string): CourierError {
  return new CourierError("not_found", `The share has no mirror: ${path}`, {
    hint: "Is the share mounted? gpuctl mirror add or import makes the mirror",
  });
}
