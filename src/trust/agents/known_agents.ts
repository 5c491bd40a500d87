// The agents whose keys a reader knows, and its judgment on each document under their names.
import { createHash } from "node:crypto";
import type { CourierError } from "../../base/errors.ts";
import { fieldOf, parseJson } from "../../base/foreign_text.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, parseState } from "../../protocol.ts";
import { type PublicKey, parseRawKey, rawKey } from "../keys.ts";
import { findSignature, isSignedBy } from "../signature.ts";
import { isOlder, type KeyStatus, type KnownAgent, type Position } from "./known_agent.ts";
import { type Present, Room } from "./room.ts";
import { openSignedState, type SignedState } from "./signed_state.ts";
import type { Changes } from "./store.ts";
import { type Trouble, Troubles } from "./troubles.ts";

/** Whose documents are verified: nobody's, those of agents whose key is known, or all but those that an operator named. */
export const VERIFY_MODES = ["off", "known", "all"] as const;
export type VerifyMode = (typeof VERIFY_MODES)[number];

/** Keys from elsewhere, which beat those of first use. */
export interface ExpectedKeys {
  /** In base64; undefined: this agent is not listed there. */
  expectedKey(agent: string): string | undefined;
  /** Whether nobody is believed by the key of this id any more. */
  isRevoked(id: string): boolean;
}

const NOTHING_EXPECTED: ExpectedKeys = { expectedKey: () => undefined, isRevoked: () => false };

/** `publishedAtMs`: when the agent says; null: the document is not signed. */
export type Verdict =
  | { readonly counts: true; readonly publishedAtMs: number | null }
  | { readonly counts: false; readonly trouble: Trouble };

/** What a reader knows of an agent's key. The same object while nothing about it changes. */
export interface AgentKey {
  /** Of the known key; null when it knows none. */
  readonly id: string | null;
  readonly status: KeyStatus | null;
  /** Why the document that was read last does not count; null: it counts. */
  readonly trouble: Trouble | null;
}

interface Held {
  known: KnownAgent;
  publicKey: PublicKey | null;
  /** Of the last document that was late. */
  late?: Position;
  shown: AgentKey;
}

/** A reading may deliver a document after a newer one was read in another way: an agent publishes at most twice a second. */
const LATE = 50;

const REPLAYED: Trouble = { kind: "replayed", reason: "it is older than one that was seen before" };

export class KnownAgents {
  readonly troubles: Troubles;
  /** Why the keys that were known before cannot be used; null: they can. Nothing is changed on an agent meanwhile. */
  failure: CourierError | null = null;
  readonly #mode: VerifyMode;
  readonly #expected: ExpectedKeys;
  readonly #held = new Map<string, Held>();
  /** Names of which no key is known, and no document counts. Anybody can invent them: bounded, and apart. */
  readonly #doubted = new Map<string, AgentKey>();
  readonly #room: Room;
  readonly #most: number;
  /** Names whose entries are not stored yet. */
  readonly #unsaved = {
    learned: new Set<string>(),
    decided: new Set<string>(),
    seen: new Set<string>(),
    displaced: new Set<string>(),
  };
  #revision = 0;

  /** @param most names that are remembered: as many as the transport delivers documents of */
  constructor(mode: VerifyMode = "known", expected: ExpectedKeys = NOTHING_EXPECTED, most: number = LIMITS.states) {
    this.troubles = new Troubles(most);
    this.#room = new Room(most);
    this.#most = most;
    this.#mode = mode;
    this.#expected = expected;
  }

  /** Whether documents are verified at all. */
  get verifies(): boolean {
    return this.#mode !== "off";
  }

  /** Another number after each decision: earlier verdicts no longer hold. */
  get revision(): number {
    return this.#revision;
  }

  /** Null for an agent that never signed, and of which every document counts. */
  key(agent: string): AgentKey | null {
    return this.#held.get(agent)?.shown ?? this.#doubted.get(agent) ?? null;
  }

  /** Every agent of which a key or a decision is known, in order of names. */
  all(): readonly { readonly agent: string; readonly key: AgentKey }[] {
    return [...this.#held]
      .map(([agent, { shown }]) => ({ agent, key: shown }))
      .toSorted((a, b) => (a.agent < b.agent ? -1 : 1));
  }

  /** All documents were read, and only these agents have one: a new agent may take the room of one of first use without. */
  looked(present: Present): void {
    this.#room.looked(present);
    for (const agent of this.#doubted.keys()) if (!present.has(agent)) this.#doubted.delete(agent);
  }

  /** Judges a state document. One that counts may make its key the agent's. */
  judge(agent: string, text: string): Verdict {
    const known = this.#mode === "off" ? null : this.#knownOf(agent);
    const verdict = this.#judge(agent, text, known);
    const trouble = verdict.counts ? null : verdict.trouble;
    if (trouble === null) this.troubles.counted(agent);
    else if (trouble.kind !== "late") this.troubles.add(agent, trouble, known !== null, text);
    this.#note(agent, trouble);
    return verdict;
  }

  /** The agent's late document is still there when any slow reading has ended: it is somebody's copy. */
  lateStays(agent: string): void {
    if (this.key(agent)?.trouble?.kind !== "late") return;
    this.troubles.add(agent, REPLAYED, true, null);
    this.#note(agent, REPLAYED);
  }

  /**
   * Judges a response.
   * @param sent the command, as it was published
   * @returns why it does not count; null: it counts
   */
  judgeResponse(agent: string, sent: string, text: string): string | null {
    if (this.#mode === "off") return null;
    const known = this.#knownOf(agent);
    const key = this.#held.get(agent)?.publicKey ?? null;
    if (known?.status === "unsigned") return null;
    if (known === null) return this.#mode === "all" ? `the key of ${agent} is unknown, and all must be signed` : null;
    if (key === null) return `the known key of ${agent} is no key: nothing proves that it answered`;
    const signature = findSignature(text);
    if (signature === null) return `it is not signed, and ${agent} signs`;
    if (this.#expected.isRevoked(key.id)) return `an operator revoked the key of ${agent}`;
    if (signature.keyId !== key.id || !isSignedBy("response", signature, key)) return `${agent} has not signed it`;
    const request = createHash("sha256").update(sent).digest("hex");
    return fieldOf(parseJson(signature.signed), "request") === request
      ? null
      : `${agent} signed it for another command`;
  }

  /** Takes over the decision of an operator, or of another program on the same store. Null: the agent is forgotten. */
  adopt(agent: string, known: KnownAgent | null): void {
    this.#revision += 1;
    this.troubles.forget(agent);
    this.#set(agent, known);
  }

  /** As `adopt()`, and remembers that it is not stored yet. */
  decide(agent: string, known: KnownAgent): void {
    this.adopt(agent, known);
    this.#unsaved.decided.add(agent);
  }

  known(agent: string): KnownAgent | null {
    return this.#held.get(agent)?.known ?? null;
  }

  /** The key by which its documents count, in base64; null: none is known. */
  knownKey(agent: string): string | null {
    return this.#mode === "off" ? null : (this.expectedKey(agent) ?? this.known(agent)?.key ?? null);
  }

  /** The key that is expected elsewhere, in base64. */
  expectedKey(agent: string): string | undefined {
    return this.#expected.expectedKey(agent);
  }

  /** The entries that are not stored yet. @param what `keys`: without the positions of agents whose key is stored */
  unsaved(what: "keys" | "all"): Changes {
    const { learned, decided, seen, displaced } = this.#unsaved;
    return {
      displaced: new Set(displaced),
      learned: this.#pick(learned),
      decided: this.#pick(decided),
      seen: this.#pick(what === "all" ? seen : []),
    };
  }

  /** All that `unsaved()` returned is stored. */
  saved(what: "keys" | "all"): void {
    this.#unsaved.displaced.clear();
    this.#unsaved.learned.clear();
    this.#unsaved.decided.clear();
    if (what === "all") this.#unsaved.seen.clear();
  }

  #pick(names: Iterable<string>): ReadonlyMap<string, KnownAgent> {
    const picked = new Map<string, KnownAgent>();
    for (const name of names) {
      const known = this.known(name);
      if (known !== null) picked.set(name, known);
    }
    return picked;
  }

  #judge(agent: string, text: string, known: KnownAgent | null): Verdict {
    if (this.#mode === "off" || agent === LEGACY_SERVICE_AGENT) return this.#judgeUnsigned(agent, null);
    const signed = openSignedState(agent, text, this.#held.get(agent)?.publicKey ?? null);
    if (signed === null) return this.#judgeUnsigned(agent, known);
    if (typeof signed === "string") return doubt("forged", signed);
    const { id } = signed.key;
    if (this.#expected.isRevoked(id)) return doubt("revoked", `it is signed by ${id}, which an operator revoked`);
    if (known !== null) return this.#judgeSigned(agent, signed, known);
    return this.#judgeFirst(agent, signed, text);
  }

  /** Nobody parses the document of a name that is no agent's, so it may count. But its key is not worth remembering. */
  #judgeFirst(agent: string, signed: SignedState, text: string): Verdict {
    const { key, boot, sequence, publishedAtMs } = signed;
    if (parseState(agent, findSignature(text)?.signed ?? "") === undefined) return { counts: true, publishedAtMs };
    const displaced = this.#room.admit(this.#held);
    if (displaced === null) return doubt("unpinned", "it is the first one, and no more keys can be remembered");
    if (displaced !== undefined) this.#displace(displaced);
    this.#set(agent, { key: rawKey(key), status: "first use", boot, sequence });
    this.#unsaved.learned.add(agent);
    return { counts: true, publishedAtMs };
  }

  #displace(agent: string): void {
    this.#set(agent, null);
    this.#unsaved.displaced.add(agent);
    this.#unsaved.learned.delete(agent);
  }

  #judgeUnsigned(agent: string, known: KnownAgent | null): Verdict {
    if (known?.status === "unsigned") return { counts: true, publishedAtMs: null };
    if (known !== null) return doubt("unsigned", `it is not signed, and ${agent} signs`);
    if (this.#mode === "all")
      return doubt("required", "it is not signed, and all must be signed (--verify-agents all)");
    return { counts: true, publishedAtMs: null };
  }

  #judgeSigned(agent: string, signed: SignedState, known: KnownAgent): Verdict {
    const { key, boot, sequence, publishedAtMs } = signed;
    const raw = rawKey(key);
    if (known.status === "unsigned" || known.key !== raw) {
      const expected = known.status === "unsigned" ? "it should not be signed" : `its key is ${this.key(agent)?.id}`;
      return {
        counts: false,
        trouble: { kind: "conflict", reason: `it is signed by ${key.id}: ${expected}`, key: raw, keyId: key.id },
      };
    }
    const held = this.#held.get(agent);
    if (isOlder(signed, known)) {
      const isRepeated = held?.late?.boot === boot && held.late.sequence === sequence;
      if (!isLate(signed, known) || isRepeated) return { counts: false, trouble: REPLAYED };
      if (held !== undefined) held.late = { boot, sequence };
      return doubt("late", REPLAYED.reason);
    }
    if (held !== undefined && isOlder(known, signed)) {
      held.known = { ...known, boot, sequence };
      this.#unsaved.seen.add(agent);
    }
    return { counts: true, publishedAtMs };
  }

  /** A key that is expected elsewhere replaces the one that was seen first. */
  #knownOf(agent: string): KnownAgent | null {
    const known = this.known(agent);
    const key = this.#expected.expectedKey(agent);
    if (key === undefined || (known?.key === key && known.status === "confirmed")) return known;
    const position = known?.key === key ? known : { boot: 0, sequence: 0 };
    this.decide(agent, { key, status: "confirmed", boot: position.boot, sequence: position.sequence });
    return this.known(agent);
  }

  #set(agent: string, known: KnownAgent | null): void {
    this.#doubted.delete(agent);
    if (known === null) this.#held.delete(agent);
    else {
      const publicKey = known.key === null ? null : parseRawKey(known.key);
      const shown = { id: publicKey?.id ?? null, status: known.status, trouble: null };
      this.#held.set(agent, { known, publicKey, shown });
    }
  }

  /** Shows whether the last document counted. */
  #note(agent: string, trouble: Trouble | null): void {
    const before = this.key(agent)?.trouble ?? null;
    if (before === trouble || (before?.kind === trouble?.kind && before?.key === trouble?.key)) return;
    const held = this.#held.get(agent);
    if (held !== undefined) held.shown = { ...held.shown, trouble };
    else if (trouble === null) this.#doubted.delete(agent);
    else if (["required", "unpinned"].includes(trouble.kind) && this.#doubted.size < this.#most)
      this.#doubted.set(agent, { id: null, status: null, trouble });
  }
}

/** The agent may have been restarted in between. */
function isLate(one: Position, newest: Position): boolean {
  if (one.boot === newest.boot) return newest.sequence - one.sequence <= LATE;
  return one.boot === newest.boot - 1 && newest.sequence <= LATE;
}

function doubt(kind: Trouble["kind"], reason: string): Verdict {
  return { counts: false, trouble: { kind, reason } };
}
