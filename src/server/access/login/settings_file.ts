// Reads a file that an option names: a secret, keys, certificates or users.
import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { fileFault, placeFault, ROOT } from "../../../trust/file_safety.ts";

export interface SettingsFileOptions {
  readonly option: string;
  /** Nobody but its owner may read it. */
  readonly isSecret?: boolean;
}

const MAX_BYTES = 1_000_000;

/**
 * @throws CourierError `invalid` when there is no such file; `forbidden` when this user may not read it, others may write to
 * it or replace it, or others may read a secret
 */
export function readSettingsFile(path: string, { option, isSecret = false }: SettingsFileOptions): Buffer {
  try {
    const facts = statSync(path, { bigint: true });
    if (!facts.isFile()) throw new CourierError("invalid", `${option}: ${path} is not a regular file`);
    if (facts.size > MAX_BYTES)
      throw new CourierError("invalid", `${option}: ${path} is larger than ${MAX_BYTES} bytes`);
    if (isSecret && !isPrivate(path, facts))
      throw new CourierError("forbidden", `${option}: other users may read ${path}`, {
        hint: `Give the platform a new secret if somebody has read it. Then: chmod 600 ${path}`,
      });
    const user = process.getuid?.() ?? ROOT;
    const fault = fileFault(path, facts, user, "gpu-server's") ?? placeFault(path, user, "gpu-server's");
    // Its writers decide who is let in.
    if (fault !== null)
      throw new CourierError("forbidden", `${option}: cannot use ${path}: ${fault.reason}`, { hint: fault.hint });
    return readFileSync(path);
  } catch (error) {
    if (error instanceof CourierError) throw error;
    const code = systemCode(error) ?? String(error);
    throw new CourierError(code === "EACCES" ? "forbidden" : "invalid", `${option}: cannot read ${path}: ${code}`, {
      cause: error,
    });
  }
}

/** systemd decides itself who may read the credentials of a service. */
function isPrivate(path: string, { mode }: BigIntStats): boolean {
  const credentials = process.env["CREDENTIALS_DIRECTORY"];
  return (mode & 0o077n) === 0n || (credentials !== undefined && credentials !== "" && dirname(path) === credentials);
}
