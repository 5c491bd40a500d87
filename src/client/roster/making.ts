// Making a roster: the operator's key, and the signature. Needs no share, so that the key can stay on a machine without network.
import { dirname, join } from "node:path";
import { isoTime } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { LIMITS } from "../../protocol.ts";
import { ensureKey, readKey } from "../../trust/key_file.ts";
import { publicLine, type SigningKey } from "../../trust/keys.ts";
import { MAX_VALID_MS } from "../../trust/roster/document.ts";
import { parseDraft, type RosterContent, signRoster } from "../../trust/roster/draft.ts";
import type { ClientIo } from "../io.ts";
import type { Printer } from "../output/printer.ts";
import { readTextFile } from "./read_file.ts";

const DAY_MS = 86_400_000;
export const MAX_DAYS = MAX_VALID_MS / DAY_MS;

/** Where an operator's private key is unless `--key` names it. It is not the one that signs commands. */
export function operatorKeyFile(io: ClientIo): string {
  return join(dirname(io.keyFile), "operator.key");
}

export function printOperatorKey(path: string, io: ClientIo, printer: Printer): void {
  const key = ensureKey(path);
  const line = publicLine(key, io.requestedBy.replace("gpuctl:", ""));
  if (printer.json) printer.document({ id: key.id, line });
  else printer.text(`${line}\n`);
}

export interface SignOptions {
  /** The operator's private key. */
  readonly key: string;
  readonly days: number;
  /** Undefined: the seconds since 1970, which grow by themselves, also with several operators. */
  readonly serial: number | undefined;
}

/** Prints the signed roster of a draft. @throws CourierError `invalid`, naming the line; `not_found` without a key */
export function signDraft(path: string, options: SignOptions, io: ClientIo, printer: Printer): void {
  const key = requireKey(options.key);
  const content = readDraft(path);
  const issued_at_ms = Math.floor(io.clock.now());
  const times = {
    serial: options.serial ?? Math.floor(issued_at_ms / 1000),
    issued_at_ms,
    expires_at_ms: issued_at_ms + options.days * DAY_MS,
  };
  // As it is: the signature covers each byte.
  io.stdout.write(`${signRoster(content, times, key)}\n`);
  const { agents, senders, revoked } = content;
  const counts = `agents: ${Object.keys(agents).length}, senders: ${senders.length}, revoked keys: ${revoked.length}`;
  const end = isoTime(times.expires_at_ms).slice(0, 10);
  printer.note(
    `Signed the roster ${times.serial} with ${key.id}, until ${end}. It has ${counts}`,
    "Then: gpuctl roster publish",
  );
}

function requireKey(path: string): SigningKey {
  const key = readKey(path);
  if (key !== null) return key;
  throw new CourierError("not_found", `There is no operator's key in ${path}`, {
    hint: "Make one, and add its line to the operator keys of boxes and readers: gpuctl roster key",
  });
}

function readDraft(path: string): RosterContent {
  const text = readTextFile(path, LIMITS.rosterBytes);
  try {
    return parseDraft(text);
  } catch (error) {
    throw new CourierError("invalid", `${path}, ${asCourierError(error).message}`, {
      hint: "gpuctl roster --help shows the lines",
      cause: error,
    });
  }
}
