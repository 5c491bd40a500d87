// The fields of signed documents, and those by which a reader knows that a state is a new one.
import { z } from "zod";
import { extra, maybe } from "./fields.ts";

/** The last field. src/trust/ verifies it over the bytes before it. */
const signature = extra(maybe(z.object({ key: z.string(), value: z.string() })));

export const commandSigning = {
  /** Of a signed command: until when the agent may start it, in ms since 1970 on the transport's clock. */
  expires_at: extra(maybe(z.int().nonnegative())),
  signature,
};

export const responseSigning = {
  /** The SHA-256 of the command's bytes as they were published, in lower-case hex. */
  request: extra(maybe(z.string().regex(/^[0-9a-f]{64}$/))),
  signature,
};

export const stateSigning = {
  /** Which commands must be signed. Missing: none. */
  requires_signatures: extra(maybe(z.string().max(63))),
  /** The agent's public key, which signed the document: the base64 of its 32 bytes. */
  key: extra(maybe(z.string().length(44))),
  /** Counts the starts of the agent; (`boot`, `sequence`) only grows. */
  boot: extra(maybe(z.int().nonnegative())),
  /** The transport's clock. */
  published_at_ms: extra(maybe(z.number().nonnegative())),
  /** Documents under its name that it did not publish, since its start. Missing: none. */
  foreign_states: extra(maybe(z.int().nonnegative())),
  signature,
};
