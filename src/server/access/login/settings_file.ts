// Reads a file that an option names: a secret, keys, certificates or users.
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { CourierError, systemCode } from "../../../base/errors.ts";

export interface SettingsFileOptions {
  readonly option: string;
  /** Nobody but its owner may read it. */
  readonly isSecret?: boolean;
}

const MAX_BYTES = 1_000_000;

/** @throws CourierError `invalid` when there is no such file; `forbidden` when this user may not read it, or others may read a secret */
export function readSettingsFile(path: string, { option, isSecret = false }: SettingsFileOptions): Buffer {
  try {
    const facts = statSync(path);
    if (!facts.isFile()) throw new CourierError("invalid", `${option}: ${path} is not a regular file`);
    if (facts.size > MAX_BYTES)
      throw new CourierError("invalid", `${option}: ${path} is larger than ${MAX_BYTES} bytes`);
    if (isSecret && !isPrivate(path, facts.mode))
      throw new CourierError("forbidden", `${option}: other users may read ${path}`, {
        hint: `Give the platform a new secret if somebody has read it. Then: chmod 600 ${path}`,
      });
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
function isPrivate(path: string, mode: number): boolean {
  const credentials = process.env["CREDENTIALS_DIRECTORY"];
  return (mode & 0o077) === 0 || (credentials !== undefined && credentials !== "" && dirname(path) === credentials);
}
