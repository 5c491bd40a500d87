// Which writers of documents are alive: judged by their documents changing, not by the clocks of their machines.
import type { Clock } from "./clock.ts";

/** A document as a reading found it. `StateRecord` of the transport is one. */
export interface SightedRecord {
  readonly agent: string;
  readonly content: { readonly text: string } | { readonly refused: string };
  /** In ms on the transport's clock. */
  readonly publishedAtMs: number;
}

export interface SightingsDeps<Document> {
  readonly clock: Pick<Clock, "monotonic">;
  readonly transport: { now(): number };
  /** How long a document may stay the same before its writer counts as silent, in ms. */
  readonly silentMs: number;
  /**
   * @param last what this agent's document said before; may be returned for a document that is half-written
   * @returns undefined for a text that is not such a document: the last one then stays in force
   */
  readonly parse: (agent: string, text: string, last: Document | undefined) => Document | undefined;
}

/** What is known of one agent's document, as of the moment of asking. */
export interface Sighting<Document> {
  readonly agent: string;
  readonly document: Document;
  /** When the present document was published, in ms on the transport's clock. */
  readonly publishedAtMs: number;
  /** How long the document has stayed the same, in ms on this machine's monotonic clock. */
  readonly silentMs: number;
  readonly isLive: boolean;
}

interface Known<Document> {
  readonly text: string;
  readonly document: Document;
  readonly publishedAtMs: number;
  /** On the monotonic clock. */
  readonly changedAtMs: number;
  /** When the last reading of this document began, whatever it found, on the monotonic clock. */
  readAtMs: number;
}

/**
 * Remembers each agent's last readable document and when it changed. A document that is seen for the first time is
 * judged by its age on the transport's clock; from then on this machine's monotonic clock decides.
 */
export class Sightings<Document> {
  readonly #deps: SightingsDeps<Document>;
  readonly #known = new Map<string, Known<Document>>();

  constructor(deps: SightingsDeps<Document>) {
    this.#deps = deps;
  }

  /**
   * Takes in what one reading found.
   * @param readAtMs when that reading began, on the monotonic clock: a slow file server may take seconds to answer
   * @returns whether it is another document than the last one of this agent, or its first
   */
  see({ agent, content, publishedAtMs }: SightedRecord, readAtMs: number): boolean {
    const { clock, transport, parse } = this.#deps;
    const known = this.#known.get(agent);
    const lastReadAtMs = known?.readAtMs ?? Number.NEGATIVE_INFINITY;
    if (known !== undefined) known.readAtMs = readAtMs;
    if (!("text" in content) || content.text === known?.text) return false;
    const document = parse(agent, content.text, known?.document);
    if (document === undefined) return false;
    const ageMs = Math.max(0, transport.now() - publishedAtMs);
    // The age is right only if the transport's clock is. That the last reading found another document is certain.
    const changedAtMs = Math.max(clock.monotonic() - ageMs, lastReadAtMs);
    this.#known.set(agent, { text: content.text, document, publishedAtMs, changedAtMs, readAtMs });
    return true;
  }

  /** Forgets all agents but these: their documents are gone. */
  keepOnly(agents: ReadonlySet<string>): void {
    for (const agent of this.#known.keys()) if (!agents.has(agent)) this.#known.delete(agent);
  }

  of(agent: string): Sighting<Document> | undefined {
    const known = this.#known.get(agent);
    return known === undefined ? undefined : this.#judge(agent, known);
  }

  /** Every agent ever seen and not forgotten, in the order of first sight. */
  all(): readonly Sighting<Document>[] {
    return [...this.#known].map(([agent, known]) => this.#judge(agent, known));
  }

  /** Those whose document changed within `silentMs`. */
  live(): readonly Sighting<Document>[] {
    return this.all().filter(({ isLive }) => isLive);
  }

  #judge(agent: string, { document, publishedAtMs, changedAtMs }: Known<Document>): Sighting<Document> {
    const silentMs = Math.max(0, Math.round(this.#deps.clock.monotonic() - changedAtMs));
    return { agent, document, publishedAtMs, silentMs, isLive: silentMs < this.#deps.silentMs };
  }
}
