// The inbox, the address for replies and the options that most scenarios use.
import type { Inbox } from "#src/transport.ts";

export const GPU: Inbox = { agent: "gpu-1" };
/** An address for replies. */
export const OWN = { replyTo: "server-1" };
export const FAST = { durable: false };
