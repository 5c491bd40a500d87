// What an operator decides about an agent's key: this one, the one that is seen now, or none.
import { CourierError } from "../../base/errors.ts";
import { parseRawKey } from "../keys.ts";
import type { AgentKey, KnownAgents } from "./known_agents.ts";

export interface Decision {
  readonly agent: string;
  /** Null: nothing was known. */
  readonly before: AgentKey | null;
  readonly after: AgentKey;
}

/**
 * Makes a key the agent's, whatever was known before.
 * @param key in base64; undefined: the one that its document is signed with now
 * @throws CourierError `not_found` when no key was seen; `conflict` when the roster names another one
 */
export function trustKey(agents: KnownAgents, agent: string, key: string | undefined): Decision {
  const [before, known] = [agents.key(agent), agents.known(agent)];
  const chosen = key ?? before?.trouble?.key ?? known?.key ?? null;
  if (chosen === null)
    throw new CourierError("not_found", `No document that ${agent} signed was seen`, {
      hint: `Give the key that \`gpu-agent key\` prints on the box: trust ${agent} KEY`,
    });
  refuseOther(agents, agent, chosen);
  // Its box may have been restored from an old copy: a key that is given begins at its first document.
  const isSame = key === undefined && known?.key === chosen;
  const { boot, sequence } = isSame ? known : { boot: 0, sequence: 0 };
  agents.decide(agent, { key: chosen, status: "confirmed", boot, sequence });
  return decided(agents, agent, before);
}

/**
 * From now on the agent's unsigned documents count, and signed ones do not.
 * @throws CourierError `conflict` when the roster names its key
 */
export function trustUnsigned(agents: KnownAgents, agent: string): Decision {
  const [before, known] = [agents.key(agent), agents.known(agent)];
  refuseOther(agents, agent, null);
  agents.decide(agent, { key: known?.key ?? null, status: "unsigned", boot: 0, sequence: 0 });
  return decided(agents, agent, before);
}

/** A decision in one line. */
export function describeDecision({ agent, before, after }: Decision): string {
  if (after.status === "unsigned") return `${agent}: its unsigned documents count again, and no signed ones`;
  const was = before?.id && before.id !== after.id ? `, before ${before.id}` : "";
  return `${agent}: known by the key ${after.id}${was}`;
}

/**
 * The key that a person gives: its base64, or the whole line that `gpu-agent key` prints.
 * @returns its base64
 * @throws CourierError `invalid`
 */
export function parseGivenKey(text: string): string {
  const words = text.trim().split(/\s+/);
  const raw = words[0] === "ed25519" ? words[1] : words.length === 1 ? words[0] : undefined;
  if (raw !== undefined && parseRawKey(raw) !== null) return raw;
  throw new CourierError("invalid", "This is not the key of an agent", {
    hint: "Give what `gpu-agent key` prints on the box, in quotes, or its 44 characters after ed25519",
  });
}

function refuseOther(agents: KnownAgents, agent: string, key: string | null): void {
  const expected = agents.expectedKey(agent);
  if (expected === undefined || expected === key) return;
  throw new CourierError("conflict", `The roster names another key of ${agent}`, {
    hint: "Only those who sign the roster can change it",
  });
}

function decided(agents: KnownAgents, agent: string, before: AgentKey | null): Decision {
  const after = agents.key(agent);
  if (after === null) throw new CourierError("internal", `The decision on ${agent} was not kept`);
  return { agent, before, after };
}
