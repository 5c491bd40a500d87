// The secret that the platform signs its tokens with, where it has no other key: anyone who knows it can make tokens.
import { CourierError } from "../../../base/errors.ts";
import type { Keys, VerificationKey } from "./key.ts";
import { readSettingsFile } from "./settings_file.ts";

/** As long as what HS256 computes (RFC 7518, 3.2). */
const MIN_BYTES = 32;
const OPTION = "--jwt-secret-file";

export class SharedSecret implements Keys {
  readonly #key: VerificationKey;

  /** @throws CourierError `forbidden` when others may read the file; `invalid` when there is no such file, or its secret is too short */
  constructor(path: string) {
    const bytes = withoutLineEnd(readSettingsFile(path, { option: OPTION, isSecret: true }));
    if (bytes.byteLength < MIN_BYTES)
      throw new CourierError(
        "invalid",
        `${OPTION}: the secret in ${path} has ${bytes.byteLength} bytes, at least ${MIN_BYTES} are needed`,
        { hint: "Make a longer one for the platform and gpu-server: openssl rand -hex 32" },
      );
    this.#key = { algorithm: "HS256", key: bytes };
  }

  async find(): Promise<VerificationKey> {
    return this.#key;
  }

  /** It was read at the start. */
  async check(): Promise<void> {}
}

/** Editors and `echo` add one, which is no part of the secret. */
function withoutLineEnd(bytes: Buffer): Uint8Array {
  const text = bytes.toString("latin1").replace(/\r?\n$/, "");
  return Uint8Array.from(Buffer.from(text, "latin1"));
}
