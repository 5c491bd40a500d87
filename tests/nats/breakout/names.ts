// The names that the breakout test uses.
import { Layout } from "#src/transport/nats/layout.ts";

export const layout = new Layout();
export const ATTACKER = "gpu-1";
export const VICTIM = "gpu-2";
/** An agent whose name the attacker does not know. */
export const UNKNOWN = "hidden-7f3a";
export const ADDRESS = "server-1";
/** In every text that the attacker must not read. */
export const SECRET = "SECRET";
