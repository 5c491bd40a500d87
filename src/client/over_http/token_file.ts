// The file with the token for gpu-server.
import { readFileSync, statSync } from "node:fs";
import { CourierError, systemCode } from "../../base/errors.ts";

/** A JWT of a platform's login has a few kilobytes. */
const MAX_BYTES = 16_384;
/** RFC 6750: what a bearer token may consist of. */
const TOKEN = /^[\w.~+/-]+=*$/;

/** @throws CourierError `unauthenticated` when the file is missing; `forbidden` when others may read it; `invalid` */
export function readToken(path: string): string {
  const text = readPrivate(path).trim();
  if (TOKEN.test(text)) return text;
  throw new CourierError("invalid", `${path} holds no token`, {
    hint: "It must hold only the token, as `gpu-server token add` prints it",
  });
}

function readPrivate(path: string): string {
  try {
    const { mode, size } = statSync(path);
    if ((mode & 0o077) !== 0)
      throw new CourierError("forbidden", `Others than its owner may use ${path} (mode ${octal(mode)})`, {
        hint: `chmod 600 ${path}`,
      });
    if (size <= MAX_BYTES) return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof CourierError) throw error;
    if (systemCode(error) === "ENOENT")
      throw new CourierError("unauthenticated", `There is no token in ${path}`, {
        hint: "On the server: gpu-server token add NAME --role gp. Save it there with mode 600, or name another --token-file",
      });
    const reason = systemCode(error) ?? String(error);
    throw new CourierError("invalid", `Cannot read ${path}: ${reason}`, { cause: error });
  }
  throw new CourierError("invalid", `${path} holds no token: it is larger than ${MAX_BYTES} bytes`);
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
