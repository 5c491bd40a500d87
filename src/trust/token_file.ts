// The file with a token for gpu-server.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { CourierError, systemCode } from "../base/errors.ts";

/** A JWT of a platform's login has a few kilobytes. */
const MAX_BYTES = 16_384;
/** RFC 6750: what a bearer token may consist of. */
const TOKEN = /^[\w.~+/-]+=*$/;

/**
 * @param role what the token should permit, for the hint
 * @throws CourierError `unauthenticated` when the file is missing; `forbidden` when others may read it; `invalid`
 */
export function readToken(path: string, role: "gp" | "mirror" = "gp"): string {
  const text = readPrivate(path, role).trim();
  if (TOKEN.test(text)) return text;
  throw new CourierError("invalid", `${path} contains no token`, {
    hint: "It must contain only the token, as `gpu-server token add` prints it",
  });
}

function readPrivate(path: string, role: string): string {
  try {
    const text = readOpened(path);
    if (text !== undefined) return text;
  } catch (error) {
    if (error instanceof CourierError) throw error;
    if (systemCode(error) === "ENOENT")
      throw new CourierError("unauthenticated", `There is no token in ${path}`, {
        hint: `On the server: gpu-server token add NAME --role ${role}. Save it there with mode 600, or name another file`,
      });
    const reason = systemCode(error) ?? String(error);
    throw new CourierError("invalid", `Cannot read ${path}: ${reason}`, { cause: error });
  }
  throw new CourierError("invalid", `${path} contains no token: it is larger than ${MAX_BYTES} bytes`);
}

/** Of the file that was opened, whatever the path names by then. @returns undefined when it is too large */
function readOpened(path: string): string | undefined {
  // Without O_NONBLOCK, a FIFO would have to be written to first.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new CourierError("invalid", `${path} is not a regular file`);
    if ((stats.mode & 0o077) !== 0)
      throw new CourierError("forbidden", `${path} is accessible to other users (mode ${octal(stats.mode)})`, {
        hint: `chmod 600 ${path}`,
      });
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    const bytes = readSync(file, buffer, 0, buffer.length, 0);
    return bytes > MAX_BYTES ? undefined : buffer.toString("utf8", 0, bytes);
  } finally {
    closeSync(file);
  }
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
