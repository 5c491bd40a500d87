// One agent of the index: its last document, and when it last gave a sign of life.
import { isoTime } from "../../base/clock.ts";
import { isNews, type StateText, takeApart } from "../../base/state_text.ts";
import type { State, StateV1 } from "../../protocol.ts";
import type { StateRecord } from "../../transport.ts";
import type { AgentKey } from "../../trust/agents/known_agents.ts";
import { type AgentView, judge } from "../agent_view.ts";
import type { LastDocument } from "../verified_states.ts";

/** The result of comparing a text with the agent's last document. */
export type News = "none" | "sign of life" | "document";

const OFFSET_STEP_MS = 100;

/** Kept of a text, instead of the text itself. */
interface Seen {
  readonly whole: number | bigint;
  readonly rest: number | bigint;
  readonly figures: StateText["figures"];
}

export class KnownAgent {
  readonly agent: string;
  document: LastDocument;
  view: AgentView;
  publishedAtMs: number;
  /** When its document last changed, on the monotonic clock. */
  changedAtMs: number;
  /** Whether a document of it has counted. */
  hasCounted = false;
  /** Whether the index shows it. */
  isListed = false;
  /** The transport's clock minus the agent's machine's. Small changes would only renew each of its models. */
  clockOffsetMs: number;
  readonly #nowMs: () => number;
  /** Of its last entries in the lists. */
  #contributed: AgentView | undefined;
  #contributedOffsetMs = 0;
  /** Of the last text, and of the text that `document` was read from. */
  #last: Seen;
  #seen: Seen;
  #parsedAtMs: number;

  /** @param nowMs the monotonic clock */
  constructor({ agent, publishedAtMs }: StateRecord, text: string, document: LastDocument, nowMs: () => number) {
    this.agent = agent;
    this.document = document;
    this.publishedAtMs = publishedAtMs;
    this.changedAtMs = nowMs();
    this.#nowMs = nowMs;
    this.clockOffsetMs = document.state?.clock_offset_ms ?? 0;
    this.#last = digest(text);
    this.#seen = this.#last;
    this.#parsedAtMs = nowMs();
    this.view = new IndexedView(this, { isLive: true, isStale: false, key: null });
  }

  get silentMs(): number {
    return Math.max(0, Math.round(this.#nowMs() - this.changedAtMs));
  }

  /** Whether a text of this agent has anything new: what only shows that it is alive need not be parsed. */
  compare(text: string): News {
    const now = digest(text);
    if (now.whole === this.#last.whole) return "none";
    this.#last = now;
    const ageMs = this.#nowMs() - this.#parsedAtMs;
    const diskBytes = this.document.state?.disk?.total_bytes ?? 0;
    return isNews(this.#seen, now, { ageMs, diskBytes }) ? "document" : "sign of life";
  }

  /** @param document of the text that was compared last */
  replace(document: LastDocument): void {
    this.document = document;
    this.#seen = this.#last;
    this.#parsedAtMs = this.#nowMs();
    const clockOffsetMs = document.state?.clock_offset_ms ?? 0;
    if (Math.abs(clockOffsetMs - this.clockOffsetMs) >= OFFSET_STEP_MS) this.clockOffsetMs = clockOffsetMs;
  }

  /** Whether its entries in the lists may be others than at the last call: after an outage most are as they were. */
  mayContributeOthers(): boolean {
    const { view, clockOffsetMs } = this;
    const [before, beforeOffsetMs] = [this.#contributed, this.#contributedOffsetMs];
    this.#contributed = view;
    this.#contributedOffsetMs = clockOffsetMs;
    return before === undefined || beforeOffsetMs !== clockOffsetMs || !contributesAlike(before, view);
  }

  /** Judges it again. @returns whether `view` is another one now */
  judge(condition: Condition): boolean {
    const view = new IndexedView(this, condition);
    const { online, reason, state, legacyState, key } = this.view;
    const isSame = view.state === state && view.legacyState === legacyState && view.key === key;
    if (isSame && view.online === online && view.reason === reason) return false;
    this.view = view;
    return true;
  }
}

/** Of an agent that is online, nothing else makes a difference to what it contributes to the lists. */
function contributesAlike(a: AgentView, b: AgentView): boolean {
  const isOnline = a.online && b.online;
  return isOnline && a.state === b.state && a.legacyState === b.legacyState && a.reason === b.reason && a.key === b.key;
}

interface Condition {
  readonly isLive: boolean;
  /** The transport is away. */
  readonly isStale: boolean;
  readonly key: AgentKey | null;
}

/** As of one moment, but for the time since the last sign of life. */
class IndexedView implements AgentView {
  readonly agent: string;
  readonly online: boolean;
  readonly reason: AgentView["reason"];
  readonly state: State | null;
  readonly legacyState: StateV1 | null;
  readonly key: AgentKey | null;
  readonly #known: KnownAgent;

  constructor(known: KnownAgent, { isLive, isStale, key }: Condition) {
    const { online, reason } = judge(known.document, isLive);
    this.agent = known.agent;
    this.online = online && !isStale;
    this.reason = isStale ? "share_stale" : reason;
    this.state = known.document.state;
    this.legacyState = known.document.legacyState;
    this.key = key;
    this.#known = known;
  }

  get lastSeenAt(): string {
    return isoTime(this.#known.publishedAtMs);
  }

  get silentMs(): number {
    return this.#known.silentMs;
  }
}

function digest(text: string): Seen {
  const { rest, figures } = takeApart(text);
  return { whole: Bun.hash(text), rest: Bun.hash(rest), figures };
}
