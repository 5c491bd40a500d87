// Decides which agents are alive: an agent whose document changes, whatever the clock of its machine says.
import type { Clock } from "./clock.ts";

/** A transport's clock may be hours off. A signed document of over a day is one that somebody kept. */
export const KEPT_MS = 24 * 3_600_000;

/** A document as it was read from the transport. Has the shape of its `StateRecord`. */
export interface SightedRecord {
  readonly agent: string;
  readonly content: { readonly text: string } | { readonly refused: string };
  /** In ms on the transport's clock. */
  readonly publishedAtMs: number;
  /** When its author last gave a sign of life since, where heartbeats do not publish the document. On the same clock. */
  readonly aliveAtMs?: number;
  /** Whether its author signed when it was published, so that a kept copy still has that time. */
  readonly isSigned?: boolean;
}

export interface SightingsDeps<Document> {
  readonly clock: Pick<Clock, "monotonic">;
  readonly transport: { now(agent?: string): number };
  /** An agent counts as silent when its document has not changed for this long, in ms. */
  readonly silentMs: number;
  /**
   * @param last the agent's last document. Returned for a half-written text, it makes that text a sign of life
   * @returns undefined for a text that is not a valid document: the last one then stays in force
   */
  readonly parse: (agent: string, text: string, last: Document | undefined) => Document | undefined;
}

/** The last known document of one agent, judged at the time of the call. */
export interface Sighting<Document> {
  readonly agent: string;
  readonly document: Document;
  /** When this document was published, in ms on the transport's clock. */
  readonly publishedAtMs: number;
  /** How long the document has not changed, in ms on this machine's monotonic clock. */
  readonly silentMs: number;
  readonly isLive: boolean;
}

/** When the author of a document last showed that it is there. */
export function signOfLifeMs({ publishedAtMs, aliveAtMs }: Pick<SightedRecord, "publishedAtMs" | "aliveAtMs">): number {
  return Math.max(publishedAtMs, aliveAtMs ?? Number.NEGATIVE_INFINITY);
}

interface Known<Document> {
  /** Of the text, which is not kept: there may be thousands. */
  readonly hash: number | bigint;
  readonly document: Document;
  readonly publishedAtMs: number;
  /** When it changed, or a heartbeat came, on the monotonic clock. */
  changedAtMs: number;
  /** When the last reading began, whatever it found, on the monotonic clock. */
  readAtMs: number;
}

/**
 * Remembers the last readable document of each agent and when it changed. The first document is judged by its age on
 * the transport's clock, and so is a signed one of over a day after a silence. Otherwise this machine's monotonic clock decides.
 */
export class Sightings<Document> {
  readonly #deps: SightingsDeps<Document>;
  readonly #known = new Map<string, Known<Document>>();

  constructor(deps: SightingsDeps<Document>) {
    this.#deps = deps;
  }

  /**
   * Records one reading of an agent's document.
   * @param readAtMs when the reading began, on the monotonic clock: a slow file server may take seconds to answer
   * @returns whether this is the agent's first document, or differs from its last one
   */
  see(record: SightedRecord, readAtMs: number): boolean {
    const { agent, content, publishedAtMs, isSigned = false } = record;
    const { clock, transport, parse } = this.#deps;
    const known = this.#known.get(agent);
    const lastReadAtMs = known?.readAtMs ?? Number.NEGATIVE_INFINITY;
    const wasLive = known !== undefined && lastReadAtMs - known.changedAtMs < this.#deps.silentMs;
    if (known !== undefined) known.readAtMs = readAtMs;
    if (!("text" in content)) return false;
    const hash = Bun.hash(content.text);
    const aliveMs = clock.monotonic() - Math.max(0, transport.now(agent) - signOfLifeMs(record));
    if (hash === known?.hash) {
      if (record.aliveAtMs !== undefined) known.changedAtMs = Math.max(known.changedAtMs, aliveMs);
      return false;
    }
    const document = parse(agent, content.text, known?.document);
    if (document === undefined) return false;
    const ageMs = Math.max(0, transport.now(agent) - publishedAtMs);
    // The age is wrong if the transport's clock is. But the document certainly changed after the last reading began.
    const mayBeKept = isSigned && !wasLive && ageMs > KEPT_MS;
    const changedAtMs = Math.max(aliveMs, mayBeKept ? Number.NEGATIVE_INFINITY : lastReadAtMs);
    this.#known.set(agent, { hash, document, publishedAtMs, changedAtMs, readAtMs });
    return true;
  }

  /**
   * Records a reading of all documents, of which only the changed ones were seen. An agent that is silent and has no
   * document any more is forgotten.
   */
  looked(present: ReadonlySet<string>, readAtMs: number): void {
    for (const [agent, known] of this.#known) {
      if (present.has(agent)) known.readAtMs = readAtMs;
      else if (!this.#judge(agent, known).isLive) this.#known.delete(agent);
    }
  }

  /** Forgets all other agents, because their documents are gone. */
  keepOnly(agents: ReadonlySet<string>): void {
    for (const agent of this.#known.keys()) if (!agents.has(agent)) this.#known.delete(agent);
  }

  of(agent: string): Sighting<Document> | undefined {
    const known = this.#known.get(agent);
    return known === undefined ? undefined : this.#judge(agent, known);
  }

  /** Every agent that was not forgotten, in the order of their first documents. */
  all(): readonly Sighting<Document>[] {
    return [...this.#known].map(([agent, known]) => this.#judge(agent, known));
  }

  /** The agents whose documents changed within `silentMs`. */
  live(): readonly Sighting<Document>[] {
    return this.all().filter(({ isLive }) => isLive);
  }

  #judge(agent: string, { document, publishedAtMs, changedAtMs }: Known<Document>): Sighting<Document> {
    const silentMs = Math.max(0, Math.round(this.#deps.clock.monotonic() - changedAtMs));
    return { agent, document, publishedAtMs, silentMs, isLive: silentMs < this.#deps.silentMs };
  }
}
