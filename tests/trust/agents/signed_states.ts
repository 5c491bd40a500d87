// State documents as agents sign them, for tests.
import type { State } from "#src/protocol.ts";
import { rawKey, type SigningKey } from "#src/trust/keys.ts";
import { signDocument } from "#src/trust/signature.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

export interface Signing {
  readonly key: SigningKey;
  readonly boot?: number;
  readonly sequence?: number;
  /** On the transport's clock. */
  readonly atMs?: number;
}

/** A state that an agent of the previous release publishes: it signs nothing. */
export function unsignedState(agent: string, change: Partial<State> = {}): string {
  return JSON.stringify({ ...sample(), agent, ...change });
}

export function signedState(
  agent: string,
  { key, boot = 1, sequence = 1, atMs = 0 }: Signing,
  change: Partial<State> = {},
): string {
  const signing = { key: rawKey(key), boot, sequence, published_at_ms: atMs };
  return signDocument("state", JSON.stringify({ ...sample(), agent, ...change, ...signing }), key);
}

function sample(): object {
  return sampleDocument("v2/state.json");
}
