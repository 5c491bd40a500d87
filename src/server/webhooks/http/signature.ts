// The secrets of webhooks, and the signature that a receiver verifies: https://www.standardwebhooks.com.
import { createHmac } from "node:crypto";
import { CourierError } from "../../../base/errors.ts";

const PREFIX = "whsec_";
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** As the standard says. */
const MIN_BYTES = 24;
const MAX_BYTES = 64;
/** The old and the new one while they are replaced. */
const MAX_SECRETS = 4;
const HINT = "Make one: echo whsec_$(openssl rand -base64 32)";

export type Secrets = readonly Uint8Array[];

/**
 * The secrets in the text of a file, one a line.
 * @param place of the text, for errors
 * @throws CourierError `invalid` for anything else; the text itself is not shown
 */
export function parseSecrets(text: string, place: string): Secrets {
  const lines = text.split("\n").map((line) => line.trim());
  const secrets = lines.filter((line) => line !== "").map((line) => parseSecret(line, place));
  if (secrets.length >= 1 && secrets.length <= MAX_SECRETS) return secrets;
  throw new CourierError("invalid", `${place} has ${secrets.length} secrets: 1 to ${MAX_SECRETS} are needed`, {
    hint: HINT,
  });
}

function parseSecret(line: string, place: string): Uint8Array {
  const encoded = line.startsWith(PREFIX) ? line.slice(PREFIX.length) : "";
  if (!BASE64.test(encoded))
    throw new CourierError("invalid", `${place} has a line that is no secret of the form whsec_BASE64`, { hint: HINT });
  const secret = Uint8Array.from(Buffer.from(encoded, "base64"));
  if (secret.byteLength >= MIN_BYTES && secret.byteLength <= MAX_BYTES) return secret;
  throw new CourierError(
    "invalid",
    `${place} has a secret of ${secret.byteLength} bytes: ${MIN_BYTES} to ${MAX_BYTES} are needed`,
    { hint: HINT },
  );
}

/** An event on its way. */
export interface Message {
  readonly id: string;
  readonly body: string;
}

/** The headers of one attempt: the id is the same in each, the time is that of the attempt. */
export function signedHeaders({ id, body }: Message, secrets: Secrets, nowMs: number): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signatures = secrets.map(
    (secret) => `v1,${createHmac("sha256", secret).update(`${id}.${timestamp}.${body}`).digest("base64")}`,
  );
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}
