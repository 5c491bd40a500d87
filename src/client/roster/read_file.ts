// Reads a file that the command line names.
import { readFileSync, statSync } from "node:fs";
import { CourierError, systemCode } from "../../base/errors.ts";

/** @throws CourierError `invalid` when it cannot be read, or is larger than a roster may be */
export function readTextFile(path: string, maxBytes: number): string {
  try {
    if (statSync(path).size <= maxBytes) return readFileSync(path, "utf8");
  } catch (error) {
    throw new CourierError("invalid", `Cannot read ${path}: ${systemCode(error) ?? String(error)}`, { cause: error });
  }
  throw new CourierError("invalid", `Cannot use ${path}: it is larger than ${maxBytes} bytes`);
}
