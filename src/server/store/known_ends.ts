// Which jobs have their end in the log: an id alone names no job, because any agent may publish one under it.

type Owned<Id> = { readonly id: Id; readonly agent: string };

export class KnownEnds {
  /** The agents that have an end under an id, the first one first. */
  readonly #agents = new Map<string, readonly string[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has({ id, agent }: Owned<string | null>): boolean {
    return this.agentsOf(id ?? "").includes(agent);
  }

  agentsOf(id: string): readonly string[] {
    return this.#agents.get(id) ?? [];
  }

  add(end: Owned<string>): void {
    if (this.has(end)) return;
    this.#agents.set(end.id, [...this.agentsOf(end.id), end.agent]);
    this.#size += 1;
  }

  clear(): void {
    this.#agents.clear();
    this.#size = 0;
  }

  delete({ id, agent }: Owned<string>): void {
    const before = this.agentsOf(id);
    const left = before.filter((other) => other !== agent);
    if (left.length > 0) this.#agents.set(id, left);
    else this.#agents.delete(id);
    this.#size -= before.length - left.length;
  }
}
