// Maps the system errors of the share to ours, once.
import { dirname } from "node:path";
import { CourierError, type ErrorCode, systemCode } from "../../base/errors.ts";
import { describeDenial, type ShareFiles } from "./access/denial.ts";

interface Meaning {
  readonly code: ErrorCode;
  readonly state: string;
  readonly hint?: string;
}

const FULL = "Remove files there or make it larger";
const DESCRIPTORS: Meaning = { code: "exhausted", state: "this machine has no file descriptors or memory left" };
const AWAY: Meaning = { code: "unavailable", state: "the share does not respond" };
const GONE: Meaning = { code: "unavailable", state: "a folder disappeared meanwhile" };

const UNSUPPORTED: Meaning = { code: "unimplemented", state: "this file system does not support that" };
/** The call was wrong: to repeat it does not help. */
const WRONG: Meaning = { code: "internal", state: "unexpected failure" };

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: { code: "exhausted", state: "no space is left on the share", hint: FULL },
  EDQUOT: { code: "exhausted", state: "the disk quota on the share is used up", hint: FULL },
  EROFS: { code: "forbidden", state: "the share is mounted read-only", hint: "Mount it read-write" },
  EACCES: { code: "forbidden", state: "permission denied" },
  EPERM: { code: "forbidden", state: "permission denied" },
  EISDIR: { code: "forbidden", state: "there is a folder in place of the file", hint: "Remove that folder" },
  ELOOP: { code: "forbidden", state: "there is a link in place of a file or folder", hint: "Remove that link" },
  EXDEV: {
    code: "unavailable",
    state: "its .tmp folder is on another file system",
    hint: "Mount the share as a whole",
  },
  EMFILE: DESCRIPTORS,
  ENFILE: DESCRIPTORS,
  ENOMEM: DESCRIPTORS,
  ENOENT: GONE,
  ENOTDIR: GONE,
  ESTALE: GONE,
  EAGAIN: AWAY,
  EBUSY: AWAY,
  ECONNREFUSED: AWAY,
  ECONNRESET: AWAY,
  ECONNABORTED: AWAY,
  EHOSTDOWN: AWAY,
  EHOSTUNREACH: AWAY,
  EINTR: AWAY,
  EIO: AWAY,
  EKEYEXPIRED: AWAY,
  EKEYREJECTED: AWAY,
  EKEYREVOKED: AWAY,
  ENETDOWN: AWAY,
  ENETRESET: AWAY,
  ENETUNREACH: AWAY,
  ENODEV: AWAY,
  ENOKEY: AWAY,
  ENOLCK: AWAY,
  ENOTCONN: AWAY,
  ENXIO: AWAY,
  EPIPE: AWAY,
  EREMOTEIO: AWAY,
  ESHUTDOWN: AWAY,
  ETIMEDOUT: AWAY,
  EMLINK: UNSUPPORTED,
  ENOSYS: UNSUPPORTED,
  ENOTSUP: UNSUPPORTED,
  EOPNOTSUPP: UNSUPPORTED,
  EBADF: WRONG,
  EFAULT: WRONG,
  EINVAL: WRONG,
  ENAMETOOLONG: WRONG,
};

/** File systems have errors that no list is complete of: work is not given up for one, as it may pass. */
const UNKNOWN: Meaning = { code: "unavailable", state: "unknown error of the share" };
/** Of the kernel; the runtime's own codes begin with `ERR_`. */
const SYSTEM_ERROR = /^E(?!RR_)[A-Z0-9]+$/;

/** Whether it is an error of the system that this table lacks: it is retried, and logged once. */
export function isUnknown(error: unknown): boolean {
  const code = systemCode(error) ?? "";
  return SYSTEM_ERROR.test(code) && MEANINGS[code] === undefined;
}

/**
 * The error of a failed action on the share: `Cannot send "ping-1" in /mnt/shared/gpu_commands: …`. A `CourierError` stays.
 * @param action the attempted action, as it follows "Cannot"
 * @param folder where; a denial adds its owner, its mode and a hint
 */
export async function shareFailure(
  error: unknown,
  action: string,
  folder: string,
  share: ShareFiles,
): Promise<CourierError> {
  if (error instanceof CourierError) return error;
  const system = systemCode(error) ?? "no system error";
  const { code, state, hint } = MEANINGS[system] ?? (isUnknown(error) ? UNKNOWN : WRONG);
  const isDenial = system === "EACCES" || system === "EPERM";
  const denial = isDenial ? await describeDenial(share, deniedBy(error) ?? folder) : undefined;
  const message = `Cannot ${action} in ${folder}: ${denial?.state ?? `${state} (${system})`}`;
  return new CourierError(code, message, { hint: denial?.hint ?? hint, cause: error });
}

/** The folder that denied it: the parent of the path in the error; for a listing the folder itself. */
function deniedBy(error: unknown): string | null {
  if (!(error instanceof Error) || !("path" in error) || typeof error.path !== "string") return null;
  if ("syscall" in error && error.syscall === "scandir") return error.path;
  return dirname("dest" in error && typeof error.dest === "string" ? error.dest : error.path);
}

/** True when this user lacks the permission. */
export function isDenied(error: unknown): boolean {
  const code = systemCode(error);
  return code === "EACCES" || code === "EPERM" || code === "EROFS";
}
