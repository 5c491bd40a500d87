// When each live agent last gave a sign of life, in order, so that the silent ones are found without asking all.

const SPAN_MS = 1_000;

export class LastSigns {
  readonly #atMs = new Map<string, number>();
  /** The agents by the second of their last sign. */
  readonly #spans = new Map<number, Set<string>>();
  #oldest = Number.POSITIVE_INFINITY;

  record(agent: string, atMs: number): void {
    this.forget(agent);
    const span = Math.floor(atMs / SPAN_MS);
    this.#atMs.set(agent, atMs);
    const agents = this.#spans.get(span);
    if (agents === undefined) this.#spans.set(span, new Set([agent]));
    else agents.add(agent);
    this.#oldest = Math.min(this.#oldest, span);
  }

  has(agent: string): boolean {
    return this.#atMs.has(agent);
  }

  forget(agent: string): void {
    const atMs = this.#atMs.get(agent);
    if (atMs === undefined) return;
    const span = Math.floor(atMs / SPAN_MS);
    this.#atMs.delete(agent);
    if (this.#atMs.size === 0) this.#oldest = Number.POSITIVE_INFINITY;
    this.#spans.get(span)?.delete(agent);
    if (this.#spans.get(span)?.size === 0) this.#spans.delete(span);
  }

  /** Forgets the agents whose last sign is from this moment or before, and returns them. */
  takeUntil(untilMs: number): readonly string[] {
    if (this.#atMs.size === 0) return [];
    const last = Math.floor(untilMs / SPAN_MS);
    const over: string[] = [];
    for (; this.#oldest <= last; this.#oldest++) {
      const agents = this.#spans.get(this.#oldest) ?? [];
      over.push(...[...agents].filter((agent) => (this.#atMs.get(agent) ?? 0) <= untilMs));
      if (this.#oldest === last) break;
    }
    for (const agent of over) this.forget(agent);
    return over;
  }

  /** Gives every agent of the list this moment as its last sign. */
  renewAll(atMs: number): void {
    const agents = [...this.#atMs.keys()];
    for (const agent of agents) this.record(agent, atMs);
  }
}
