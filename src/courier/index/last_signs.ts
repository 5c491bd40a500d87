// When each live agent last gave a sign of life, in order, so that the silent ones are found without asking all.

const SPAN_MS = 1_000;

export class LastSigns {
  readonly #atMs = new Map<string, number>();
  /**
   * The agents by the second of a sign. An agent stays listed under its earlier signs, where it no longer counts, until they are
   * over: that way a heartbeat costs little.
   */
  readonly #spans = new Map<number, string[]>();

  record(agent: string, atMs: number): void {
    const span = spanOf(atMs);
    const before = this.#atMs.get(agent);
    this.#atMs.set(agent, atMs);
    if (before !== undefined && spanOf(before) === span) return;
    const agents = this.#spans.get(span);
    if (agents === undefined) this.#spans.set(span, [agent]);
    else agents.push(agent);
  }

  has(agent: string): boolean {
    return this.#atMs.has(agent);
  }

  forget(agent: string): void {
    this.#atMs.delete(agent);
  }

  /** Forgets the agents whose last sign is from this moment or before, and returns them. */
  takeUntil(untilMs: number): readonly string[] {
    const last = spanOf(untilMs);
    const over: string[] = [];
    for (const span of [...this.#spans.keys()].toSorted((a, b) => a - b)) {
      if (span > last) break;
      const later: string[] = [];
      for (const agent of this.#spans.get(span) ?? []) {
        const atMs = this.#atMs.get(agent);
        if (atMs === undefined || spanOf(atMs) !== span) continue;
        if (atMs > untilMs) later.push(agent);
        else if (this.#atMs.delete(agent)) over.push(agent);
      }
      if (later.length > 0) this.#spans.set(span, later);
      else this.#spans.delete(span);
    }
    return over;
  }

  /** Gives every agent of the list this moment as its last sign. */
  renewAll(atMs: number): void {
    const agents = [...this.#atMs.keys()];
    for (const agent of agents) this.record(agent, atMs);
  }
}

function spanOf(atMs: number): number {
  return Math.floor(atMs / SPAN_MS);
}
