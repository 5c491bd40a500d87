// The doctor's check of the agents' keys: documents that others wrote under an agent's name, and keys that nobody confirmed.

import { about, type Check } from "../base/check.ts";
import { compareNames } from "../base/order.ts";
import { firstOf } from "../courier/named.ts";
import type { KnownAgents } from "../trust/agents/known_agents.ts";
import { type TroubleCount, troubleHint } from "../trust/agents/troubles.ts";

/** Anybody can invent names: more agents are only counted. */
const EXAMINED = 20;

/**
 * @param keys after documents were read
 * @param areKept whether this program remembers them
 */
export function* examineKeys(keys: KnownAgents, areKept: boolean): Generator<Check> {
  const check = about("agent_keys");
  if (keys.failure !== null) yield check.failedBy(keys.failure);
  const troubles = keys.troubles.all();
  for (const trouble of troubles.slice(0, EXAMINED)) yield checkTrouble(trouble, keys.known(trouble.agent) !== null);
  const more = troubles.length - EXAMINED;
  if (more > 0)
    yield check.failed(`Documents of ${more} more agents do not count`, "Find out who writes to gpu_status");
  if (areKept) yield* checkConfirmed(keys);
}

/** @param isKnown otherwise a forged document may be somebody's copy */
function checkTrouble({ agent, trouble, count }: TroubleCount, isKnown: boolean): Check {
  const found = count === 1 ? "A document under its name does" : `${count} documents under its name do`;
  const conflict = trouble.kind === "conflict" ? "Conflict: " : "";
  const message = `${conflict}${found} not count: ${trouble.reason}`;
  const check = about("agent_keys", agent);
  if (isKnown || trouble.kind !== "forged") return check.failed(message, troubleHint(agent, trouble));
  return check.warning(message, `If it is a copy, remove gpu_status/${agent}_status.json`);
}

function* checkConfirmed(keys: KnownAgents): Generator<Check> {
  const signing = keys.all().filter(({ key }) => key.status !== "unsigned");
  if (signing.length === 0) return;
  const first = signing
    .filter(({ key }) => key.status === "first use")
    .toSorted((a, b) => compareNames(a.agent, b.agent));
  const count = `${signing.length} ${signing.length === 1 ? "agent signs" : "agents sign"}`;
  const named = firstOf(first, ({ agent }) => agent);
  const hint = "Compare with `gpu-agent key` on each box, then: gpuctl trust AGENT KEY";
  const check = about("agent_keys");
  if (first.length === 0) yield check.ok(`${count}, all with confirmed keys`);
  else yield check.ok(`${count}; keys of first use, which nobody has confirmed: ${named}`, hint);
}
