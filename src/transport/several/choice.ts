// Which of the documents under one name, on several transports, is the agent's.
import { LIMITS, parseState } from "../../protocol.ts";
import type { StateRecord } from "../../transport.ts";
import { openSignedState, type SignedState } from "../../trust/agents/signed_state.ts";
import { parseRawKey, rawKey } from "../../trust/keys.ts";
import { findSignature } from "../../trust/signature.ts";
import type { Member } from "./member.ts";

/** The known keys of agents. */
export interface KnownKeys {
  /** In base64; null: no key of this agent is known. */
  knownKey(agent: string): string | null;
}

/** A document and the transport that has it. */
export interface Placed {
  readonly member: Member;
  readonly record: StateRecord;
}

/**
 * What another document under the same name is: an older one of the same agent, another agent's, or, with `conflict`, that of
 * another agent that is also alive and signs with another key. `twin`: both are alive and have one key or instance, as of a cloned disk.
 */
export type Relation = "same" | "twin" | "other" | "conflict";

export interface Choice {
  readonly used: Placed;
  readonly others: readonly (Placed & { readonly relation: Relation })[];
}

/** What decides, of one document. */
interface Claim extends Placed {
  readonly isReadable: boolean;
  /** Null: it is not signed, or wrongly. */
  readonly signed: SignedState | null;
  readonly isByKnownKey: boolean;
  readonly instance: string | undefined;
  readonly isAlive: boolean;
  readonly ageMs: number;
}

/**
 * The one that counts: by the known key, before others; of one agent its newest; of several agents one that is alive; else that
 * of the first transport.
 * @param placed at least one, in the order of the transports
 */
export function choose(agent: string, placed: readonly [Placed, ...Placed[]], keys: KnownKeys): Choice {
  const [first, ...rest] = placed;
  if (rest.length === 0) return { used: first, others: [] };
  const claims = placed.map((each) => claimOf(agent, each, keys.knownKey(agent)));
  const used = claims.reduce((best, next) => (isBetter(next, best) ? next : best));
  const others = claims.filter((claim) => claim !== used);
  return { used, others: others.map((other) => ({ ...other, relation: relationOf(used, other) })) };
}

function claimOf(agent: string, { member, record }: Placed, known: string | null): Claim {
  const { content } = record;
  const text = "text" in content ? content.text : "";
  const opened = openSignedState(agent, text, known === null ? null : parseRawKey(known));
  const signed = typeof opened === "string" ? null : opened;
  const document = parseState(agent, findSignature(text)?.signed ?? text);
  const ageMs = member.ageMs(record);
  return {
    member,
    record,
    isReadable: document !== undefined,
    signed,
    isByKnownKey: signed !== null && rawKey(signed.key) === known,
    instance: document?.state?.instance,
    isAlive: document !== undefined && document.state?.status !== "stopped" && ageMs < LIMITS.silentMs,
    ageMs,
  };
}

/** @param best of an earlier transport */
function isBetter(next: Claim, best: Claim): boolean {
  if (next.isReadable !== best.isReadable) return next.isReadable;
  if (next.isByKnownKey !== best.isByKnownKey) return next.isByKnownKey;
  const [a, b] = [next.signed, best.signed];
  // Each start of an agent counts one more boot, wherever it publishes: that needs no clock.
  if (a !== null && b !== null && a.key.id === b.key.id)
    return a.boot > b.boot || (a.boot === b.boot && a.sequence > b.sequence);
  if (next.isAlive !== best.isAlive) return next.isAlive;
  return isSameAgent(next, best) && next.ageMs < best.ageMs;
}

function isSameAgent(one: Claim, other: Claim): boolean {
  if (one.signed !== null && other.signed !== null) return one.signed.key.id === other.signed.key.id;
  return one.instance !== undefined && one.instance === other.instance;
}

function relationOf(used: Claim, other: Claim): Relation {
  const areAlive = used.isAlive && other.isAlive;
  if (isSameAgent(used, other)) return areAlive ? "twin" : "same";
  return areAlive && used.signed !== null && other.signed !== null ? "conflict" : "other";
}
