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
 * Makes a key the agent's. Its position stays with the same key, unless the agent's last document is `replayed`: its box may
 * have been restored from an old copy.
 * @param given as `parseGivenKey()` returns it; undefined: the known one, which nothing on the share may replace
 * @throws CourierError `not_found` when no such key was seen; `conflict` when the agent's document is signed by another key than
 * the known one and none is given, or when the roster names another one
 */
export function trustKey(agents: KnownAgents, agent: string, given: string | undefined): Decision {
  const [before, known] = [agents.key(agent), agents.known(agent)];
  const chosen = given === undefined ? knownKey(agents, agent) : isKeyId(given) ? seenKey(agents, agent, given) : given;
  refuseOther(agents, agent, chosen);
  const isRestored = given !== undefined && before?.trouble?.kind === "replayed";
  const { boot, sequence } = known?.key === chosen && !isRestored ? known : { boot: 0, sequence: 0 };
  agents.decide(agent, { key: chosen, status: "confirmed", boot, sequence });
  return decided(agents, agent, before);
}

/**
 * From now on the agent's unsigned documents count, and signed ones do not. The key and its position stay known.
 * @throws CourierError `conflict` when the roster names its key
 */
export function trustUnsigned(agents: KnownAgents, agent: string): Decision {
  const [before, known] = [agents.key(agent), agents.known(agent)];
  refuseOther(agents, agent, null);
  const { key, boot, sequence } = known ?? { key: null, boot: 0, sequence: 0 };
  agents.decide(agent, { key, status: "unsigned", boot, sequence });
  return decided(agents, agent, before);
}

/** A decision in one line. */
export function describeDecision({ agent, before, after }: Decision): string {
  if (after.status === "unsigned") return `${agent}: its unsigned documents count again, and no signed ones`;
  const was = before?.id && before.id !== after.id ? `, before ${before.id}` : "";
  return `${agent}: known by the key ${after.id}${was}`;
}

/**
 * The key that a person gives: its base64, the whole line that `gpu-agent key` prints, or the id of a key that was seen.
 * @returns its base64, or its id
 * @throws CourierError `invalid`
 */
export function parseGivenKey(text: string): string {
  const words = text.trim().split(/\s+/);
  const raw = words[0] === "ed25519" ? words[1] : words.length === 1 ? words[0] : undefined;
  if (raw !== undefined && (parseRawKey(raw) !== null || (isKeyId(raw) && words.length === 1))) return raw;
  throw new CourierError("invalid", "This is not the key of an agent", {
    hint: "Give what `gpu-agent key` prints on the box, in quotes, or its 44 characters after ed25519",
  });
}

/** Whether it is only the id of a key, which is then taken from what was seen. */
export function isKeyId(given: string): boolean {
  return /^[0-9a-f]{16}$/.test(given);
}

function knownKey(agents: KnownAgents, agent: string): string {
  const [shown, known] = [agents.key(agent), agents.known(agent)];
  const other = shown?.trouble?.key;
  if (other !== undefined && other !== known?.key)
    throw new CourierError(
      "conflict",
      `The last document of ${agent} is signed by ${shown?.trouble?.keyId}, and its known key is ${shown?.id ?? "none"}`,
      { hint: `Give the right one, as \`gpu-agent key\` prints it on the box, or its id: trust ${agent} KEY` },
    );
  return known?.key ?? notSeen(agent, `No document that ${agent} signed was seen`);
}

function seenKey(agents: KnownAgents, agent: string, id: string): string {
  const seen = [agents.known(agent)?.key, agents.key(agent)?.trouble?.key];
  const isMeant = (raw: string | null | undefined): boolean => raw != null && parseRawKey(raw)?.id === id;
  return seen.find(isMeant) ?? notSeen(agent, `No document of ${agent} is signed by the key ${id} now`);
}

function notSeen(agent: string, message: string): never {
  throw new CourierError("not_found", message, {
    hint: `Give the key that \`gpu-agent key\` prints on the box: trust ${agent} KEY`,
  });
}

function refuseOther(agents: KnownAgents, agent: string, key: string | null): void {
  const expected = agents.expectedKey(agent);
  if (expected === undefined || expected === key) return;
  throw new CourierError("conflict", `The roster names another key of ${agent}`, {
    hint:
      key === null
        ? `Sign and publish a roster without the agent's line, then again: trust ${agent} --unsigned`
        : "Only those who sign the roster can change it",
  });
}

function decided(agents: KnownAgents, agent: string, before: AgentKey | null): Decision {
  const after = agents.key(agent);
  if (after === null) throw new CourierError("internal", `The decision on ${agent} was not kept`);
  return { agent, before, after };
}
