// Between the transport and those who parse states: lets through the documents that count.
import { createHash } from "node:crypto";
import { parseState, type StateDocument } from "../protocol.ts";
import type { StateRecord } from "../transport.ts";
import type { KnownAgents } from "../trust/agents/known_agents.ts";
import { findSignature } from "../trust/signature.ts";

/** An agent of which no document counts. */
export const NO_DOCUMENT = { state: null, legacyState: null };
export type LastDocument = StateDocument | typeof NO_DOCUMENT;

/** Undefined when no document of the agent counts. */
export function countingDocument(last: LastDocument): StateDocument | undefined {
  if (last.state !== null) return last;
  return last.legacyState === null ? undefined : last;
}

/** Its text is without the signature. A signed one was published at the time that its agent signed. */
export interface VerifiedState extends StateRecord {
  /** Signed documents have an order: none is older than the one before. */
  readonly isSigned: boolean;
}

/** The last verdict on a document under one name. */
interface Judged {
  readonly digest: string;
  readonly revision: number;
  readonly counts: boolean;
  readonly publishedAtMs: number | null;
}

/** Any slow reading has ended by then. */
const LATE_MS = 10_000;

export class VerifiedStates {
  readonly #agents: KnownAgents;
  readonly #judged = new Map<string, Judged>();
  /** Names whose last document is late, and when `reportLate()` first found that; null: not yet. */
  readonly #late = new Map<string, number | null>();

  constructor(agents: KnownAgents) {
    this.#agents = agents;
  }

  /** @returns null for a document that does not count: `KnownAgents.key()` has the reason */
  verify(record: StateRecord): VerifiedState | null {
    const { agent, content } = record;
    if (!("text" in content)) return { ...record, isSigned: false };
    const { counts, publishedAtMs } = this.#judge(agent, content.text);
    if (!counts) return null;
    const text = findSignature(content.text)?.signed ?? content.text;
    return {
      agent,
      content: { text },
      publishedAtMs: publishedAtMs ?? record.publishedAtMs,
      ...(record.aliveAtMs === undefined ? {} : { aliveAtMs: record.aliveAtMs }),
      isSigned: publishedAtMs !== null,
    };
  }

  /**
   * Whether an agent is listed of which no document counts: it is known, or its document is valid but for the signature.
   * Anything else under some name is no agent.
   */
  isListed({ agent, content }: StateRecord): boolean {
    const key = this.#agents.key(agent);
    if (key === null || key.status !== null) return key !== null;
    return "text" in content && parseState(agent, content.text) !== undefined;
  }

  /** The agent has no document any more. */
  forget(agent: string): void {
    this.#judged.delete(agent);
    this.#late.delete(agent);
  }

  /** Forgets all others, which have no document any more. */
  keepOnly(agents: ReadonlySet<string>): void {
    for (const agent of this.#judged.keys()) if (!agents.has(agent)) this.forget(agent);
    this.#agents.looked(agents);
  }

  /** All documents were read. */
  looked(): void {
    this.#agents.looked(this.#judged);
  }

  /**
   * Reports late documents that stay.
   * @param nowMs on the monotonic clock
   * @returns the agents whose documents are reported now
   */
  reportLate(nowMs: number): readonly string[] {
    for (const [agent, sinceMs] of this.#late) if (sinceMs === null) this.#late.set(agent, nowMs);
    const stays = [...this.#late].filter(([, sinceMs]) => sinceMs !== null && nowMs - sinceMs > LATE_MS);
    for (const [agent] of stays) {
      this.#late.delete(agent);
      this.#agents.lateStays(agent);
    }
    return stays.map(([agent]) => agent);
  }

  /** Of how many names it remembers the last verdict. */
  get size(): number {
    return this.#judged.size;
  }

  /** A document that is read again is not verified again. */
  #judge(agent: string, text: string): Judged {
    const { revision } = this.#agents;
    const digest = createHash("sha256").update(text).digest("base64");
    const before = this.#judged.get(agent);
    if (before?.digest === digest && before.revision === revision) return before;
    const verdict = this.#agents.judge(agent, text);
    const { counts } = verdict;
    if (counts || verdict.trouble.kind !== "late") this.#late.delete(agent);
    else if (!this.#late.has(agent)) this.#late.set(agent, null);
    const judged = {
      digest,
      revision: this.#agents.revision,
      counts,
      publishedAtMs: counts ? verdict.publishedAtMs : null,
    };
    this.#judged.set(agent, judged);
    return judged;
  }
}
