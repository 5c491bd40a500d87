// Reads the file that names the models of the fleet. It may be on a share, or be anything else by now.
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { CourierError, systemCode } from "../../../base/errors.ts";
import { MAX_FLEET_FILE_BYTES } from "../../../program/desired/fleet_file.ts";

/** @throws CourierError `invalid` for what cannot be read, is no regular file, is too large, or is no text */
export async function readFleetText(path: string): Promise<string> {
  const bytes = await readBounded(path).catch((error: unknown) => {
    const why = error instanceof CourierError ? error.message : (systemCode(error) ?? String(error));
    throw new CourierError("invalid", `Cannot read ${path}: ${why}`, { cause: error });
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new CourierError("invalid", `Cannot use ${path}: it is no text in UTF-8`, { cause: error });
  }
}

async function readBounded(path: string): Promise<Uint8Array> {
  // Opening a named pipe would wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new CourierError("invalid", "it is not a regular file");
    const buffer = new Uint8Array(MAX_FLEET_FILE_BYTES + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
    }
    throw new CourierError("invalid", `it is larger than ${MAX_FLEET_FILE_BYTES} bytes`);
  } finally {
    await file.close();
  }
}
